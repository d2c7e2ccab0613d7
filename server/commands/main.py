"""Runs the command that the arguments name."""

import argparse
import errno
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from ..observability.log_writer import LogWriter
from ..observability.logs import configure_logs, get_log
from ..process.descriptors import raise_open_files_limit
from ..process.ending import exit_after
from ..process.signal_mask import block_signals, unblock_signals
from ..process.standard_streams import discard_unwritten, show_any_character, write_stderr
from ..settings import (
    Settings,
    SettingsError,
    load_settings,
    own_address,
    tune_grpc,
    unused_settings,
)
from .arguments import parse_arguments
from .process_log import LOG_CLOSE_TIMEOUT, ProcessLog
from .serving import play_vendor, serve, supervise
from .worker import serve_as_worker

WRONG_SETTINGS = 2


def main() -> None:
    """Runs the command; exits with 2 when settings are wrong, one line for each on stderr."""
    show_any_character()
    options = parse_arguments()
    tune_grpc()
    try:
        if options.command == "doctor":
            sys.exit(_examine(as_json=options.json, only_failed=options.failed))
        if options.command == "call":
            sys.exit(_call(options))
        settings = load_settings(getattr(options, "workers", None))
        if options.command == "healthcheck":
            from .. import healthcheck

            unblock_signals()
            failure = healthcheck.find_failure(settings)
            write_stderr(f"{failure}\n" if failure else "")
            sys.exit(1 if failure else 0)
        sys.exit(_run(options, settings))
    except SettingsError as error:
        sys.exit(_wrong_settings(error))
    finally:
        discard_unwritten()


def _run(options: argparse.Namespace, settings: Settings) -> int:
    """Runs a command that logs; returns its exit code."""
    block_signals()  # before any thread begins
    raise_open_files_limit()
    logs = ProcessLog(settings, LogWriter(1))
    try:
        command = _started(_command(options, settings, logs), settings, options.command)
        work = exit_after(command, lambda: logs.writer.close(LOG_CLOSE_TIMEOUT))
        code: int = uvloop.run(work)
        return code
    finally:
        logs.writer.close(LOG_CLOSE_TIMEOUT)


def _examine(*, as_json: bool, only_failed: bool) -> int:
    """Runs doctor; returns its exit code. Only its findings are written: nothing is logged."""
    from ..doctor.examination import examine
    from ..doctor.report import report

    unblock_signals()
    configure_logs("error", console=False, sink=_Discarded())
    try:
        code: int = uvloop.run(exit_after(report(examine(), as_json=as_json, only_failed=only_failed)))
    except (BrokenPipeError, KeyboardInterrupt):  # nobody waits for the rest
        return 1
    return code


def _call(options: argparse.Namespace) -> int:
    """Runs call; returns its exit code."""
    from ..call import ClientTls, WrongRequestError, call
    from ..healthcheck import reachable

    unblock_signals()
    try:
        tls = ClientTls(options.cacert, options.cert, options.key, options.name)
        address = options.address or reachable(own_address())
        return call(address, options.method, options.request, tls, options.token)
    except WrongRequestError as error:
        write_stderr(f"{error}\n")
        return WRONG_SETTINGS
    except KeyboardInterrupt:  # the end of a watch, as a rule
        return 0
    except BrokenPipeError as error:  # nobody reads it any more; or the disk is full
        return 0 if error.errno == errno.EPIPE else 1


async def _started(work: Coroutine[Any, Any, int], settings: Settings, command: str) -> int:
    """Runs a command; returns its exit code.

    Settings that end the start are named before the event loop is closed: that waits for its threads.
    """
    try:
        return await work
    except SettingsError as error:
        return _wrong_settings(_all_that_fail(error, settings, command))


def _wrong_settings(error: SettingsError) -> int:
    """Names them; returns the exit code."""
    write_stderr("".join(f"{line}\n" for line in error.lines))
    return WRONG_SETTINGS


def _all_that_fail(error: SettingsError, settings: Settings, command: str) -> SettingsError:
    """The same with a line for everything else that would end the start: one is not found after the other."""
    lines: list[str] = []
    named = {name for line in error.lines for name in _names_in(line)}
    if command in ("serve", "worker"):
        from ..doctor.start import wrong_files_and_rules

        lines += wrong_files_and_rules(settings)
    if command == "serve":  # a worker's are the supervisor's
        from ..observability.listening import addresses_that_fail

        lines += addresses_that_fail(settings, named).values()
    return SettingsError([*error.lines, *(line for line in lines if named.isdisjoint(_names_in(line)))])


def _names_in(line: str) -> list[str]:
    """The settings that a line is about."""
    return line.partition(":")[0].split(", ")


class _Discarded:
    """Discards lines of the log."""

    def add(self, make: Callable[..., str], *parts: object) -> None: ...


def _command(options: argparse.Namespace, settings: Settings, logs: ProcessLog) -> Coroutine[Any, Any, int]:
    """Returns the command's coroutine, which returns the exit code."""
    if options.command == "sandbox":
        return play_vendor(options.listen, settings, logs)
    if options.command == "worker":
        return serve_as_worker(options, settings, logs)
    if unused := unused_settings():
        get_log().warning("settings without effect in this version", settings=unused)
    return serve(settings, logs) if settings.workers == 1 else supervise(settings, logs)
