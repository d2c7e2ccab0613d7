"""The log's thread: lines in order and whole; nobody who logs waits for the stream, and what is lost is counted."""

import fcntl
import gc
import json
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.observability.log_writer import MAX_PIECE_BYTES, LogWriter
from server.observability.logs import configure_logs, get_log

AT_MOST = 20.0
"""Seconds within which a test that would hang has failed: a bound, no measure."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with suppress(OSError):  # the test has closed it
            os.close(descriptor)


def numbered(number: int) -> str:
    return f"{number:06}" + "x" * 90 + "\n"


def read_all(descriptor: int) -> str:
    """What a pipe holds, after its other end was closed."""
    with open(descriptor, "rb", closefd=False) as stream:
        return stream.read().decode()


def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + AT_MOST
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_lines_are_written_in_their_order_and_whole(tmp_path: Path) -> None:
    """All of them, by the time that the writer is closed."""
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno())
        for number in range(500):
            log.add(numbered, number)
        log.close(AT_MOST)
    assert (tmp_path / "log").read_text() == "".join(map(numbered, range(500)))
    assert log.lost == 0


def test_lines_of_several_processes_are_not_mixed(pipe: tuple[int, int]) -> None:
    """A piece is whole lines, of PIPE_BUF at most, unless one line is longer: so a pipe takes it at once or not yet."""
    reader, writer = pipe
    logs = [LogWriter(writer), LogWriter(writer)]  # as two processes: each with a queue and a thread of its own
    for number in range(300):
        for log in logs:
            log.add(numbered, number)
    pieces: list[bytes] = []
    reading = threading.Thread(target=lambda: pieces.extend(iter(lambda: os.read(reader, MAX_PIECE_BYTES), b"")))
    reading.start()
    for log in logs:
        log.close(AT_MOST)
    os.close(writer)
    reading.join(AT_MOST)
    assert sorted(b"".join(pieces).decode().splitlines(keepends=True)) == sorted(
        numbered(number) for number in range(300) for _ in logs
    )


def test_a_log_that_nobody_reads_loses_lines_and_holds_up_nobody(pipe: tuple[int, int]) -> None:
    """The pipe and the queue are full: who logs goes on. Read again, it says how many were lost, and loses no more."""
    reader, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    log = LogWriter(writer, max_lines=100)
    configure_logs("info", console=False, sink=log)
    for number in range(1000):
        log.add(numbered, number)
    assert log.lost >= 1000 - 2 * 101  # what the queue holds, and what the thread has taken from it at once
    written = b""
    while b"were lost" not in written:
        written += os.read(reader, 1 << 16)
    *lines, last = written.decode().splitlines(keepends=True)
    assert lines == sorted(lines)
    assert set(lines) <= set(map(numbered, range(1000)))
    assert len(lines) + log.lost == 1000
    assert (json.loads(last)["level"], json.loads(last)["lines"]) == ("warning", log.lost)
    log.close(AT_MOST)


def test_closing_a_log_that_nobody_reads_takes_its_time_and_no_more(pipe: tuple[int, int]) -> None:
    """The process ends, whatever the reader of its log does."""
    _, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    log = LogWriter(writer)
    for number in range(1000):
        log.add(numbered, number)
    begun = time.monotonic()
    log.close(0.1)
    assert 0.1 <= time.monotonic() - begun < AT_MOST


def test_a_reader_that_is_gone_costs_lines_only(pipe: tuple[int, int]) -> None:
    """EPIPE: each line is counted as lost."""
    reader, writer = pipe
    os.close(reader)
    log = LogWriter(writer)
    for number in range(50):
        log.add(numbered, number)
    log.close(AT_MOST)
    assert log.lost == 50


def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    """EAGAIN, where the other end's owner made the pipe non-blocking: no line is lost or torn."""
    reader, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    log = LogWriter(writer)
    for number in range(500):
        log.add(numbered, number)
    until(lambda: fcntl.ioctl(reader, 0x541B, b"\0" * 4) != b"\0" * 4)  # FIONREAD: it has come to writing
    written = b""
    while len(written) < 500 * len(numbered(0)):
        written += os.read(reader, 1 << 16)
    log.close(AT_MOST)
    assert written.decode() == "".join(map(numbered, range(500)))


def test_a_full_disk_costs_lines_only() -> None:
    """ENOSPC: they are counted, and nothing else happens."""
    with Path("/dev/full").open("wb") as full:
        log = LogWriter(full.fileno())
        for number in range(3):
            log.add(numbered, number)
        log.close(AT_MOST)
    assert log.lost == 3


def test_a_line_that_was_cut_off_ends_before_the_next_one(tmp_path: Path) -> None:
    """The disk takes a part of a line, then nothing, then all again: no line is glued to another's half."""
    file, room = tmp_path / "log", 150
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with file.open("wb") as stream:
        log = LogWriter(stream.fileno())
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
            for number in (1, 2):
                log.add(numbered, number)
            until(lambda: log.lost == 1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        log.add(numbered, 3)
        log.close(AT_MOST)
    lines = file.read_text().splitlines(keepends=True)
    assert lines[0] == numbered(1)
    assert lines[1] == numbered(2)[: room - len(numbered(1))] + "\n"
    assert lines[2] == numbered(3)


def test_a_finalizer_may_log_while_a_line_is_added(tmp_path: Path) -> None:
    """The garbage collector runs in the midst of anything: a lock that this thread holds would never be free."""
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno())
        configure_logs("info", console=False, sink=log)

        class Finalized:
            def __init__(self) -> None:
                self.itself = self

            def __del__(self) -> None:
                get_log().warning("finalized")

        threshold = gc.get_threshold()
        gc.set_threshold(1)
        try:
            for _ in range(300):
                Finalized()
                get_log().warning("in between")
        finally:
            gc.set_threshold(*threshold)
        gc.collect()
        log.close(AT_MOST)
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events.count("in between") == 300
    assert events.count("finalized") == 300


def test_a_finalizer_may_log_in_the_midst_of_its_own_line(tmp_path: Path) -> None:
    """The rule itself, without the collector's whims: a line whose making logs another line, in either thread."""
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno())

        class Nested:
            def __format__(self, _: str) -> str:
                log.add(str, "inner\n")
                return "outer"

        log.add(str, f"{Nested()} made here\n")
        log.add(lambda: f"{Nested()} made there\n")
        until(lambda: len((tmp_path / "log").read_text().splitlines()) == 4)
        log.close(AT_MOST)
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["inner"] * 2 + [
        "outer made here",
        "outer made there",
    ]


def test_a_line_that_cannot_be_made_is_lost_alone(tmp_path: Path) -> None:
    """A defect in one line does not end the log."""
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno())
        configure_logs("info", console=False, sink=log)
        log.add(str, "before\n")
        log.add(lambda: str(1 // 0))
        log.add(str, "\udc80 after\n")
        until(lambda: "ZeroDivisionError" in (tmp_path / "log").read_text())
        log.close(AT_MOST)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[:2] == ["before", r"\udc80 after"]
    assert log.lost == 1
