# ruff: noqa: T201 (a command prints)
"""The command: see the package's docstring."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from testkit.server_process import ROOT, DidNotStartError, clean_environment, started
from tools.clients.reports import CHECKS, Finding, Verdict, read_report
from tools.clients.servers import all_servers
from tools.clients.table import WHOLE, held, render
from tools.clients.toolchains import MissingToolchainError, commands_for

LANGUAGES = ("go", "java", "typescript", "python")
_LONGEST = 1200.0  # seconds for one language, its first build with all downloads included
_SHOWN = 40  # lines of a failed check's log
_OWN = {"CONTRACT", "OUT", "REPORT", "REQUIRE_ALL"}
"""Variables that this command sets for a check."""
_ENDINGS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Exits with 1 when a check failed, in CI also when one was skipped."""
    parser = argparse.ArgumentParser(prog="python -m tools.clients", description="Checks the clients of each language.")
    parser.add_argument("languages", nargs="*", metavar="language", help=f"all without any: {', '.join(LANGUAGES)}")
    parser.add_argument("--contract", type=Path, metavar="FILE", help="a descriptor set to build the clients from")
    options = parser.parse_args()
    if unknown := set(options.languages) - set(LANGUAGES):
        parser.error(f"no such language: {', '.join(sorted(unknown))}")
    if options.contract and not options.contract.is_file():
        parser.error(f"no such file: {options.contract}")
    for number in _ENDINGS:
        signal.signal(number, _leave)

    columns = {language: _column(language, options.contract) for language in options.languages or LANGUAGES}
    contract = options.contract or f"protos, version {(ROOT / 'contract' / 'VERSION').read_text().strip()}"
    print(f"\nClients built from {contract}, against the gateway of this tree:\n")
    print(render(columns))
    sys.exit(0 if held(columns, skipping=os.environ.get("CI") != "true") else 1)


def _leave(number: int, _: object) -> None:
    """Ends the check and the servers on the way out, in peace: whoever presses Ctrl-C does so twice."""
    for each in _ENDINGS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _column(language: str, contract: Path | None) -> dict[str, Finding]:
    try:
        return _check(language, contract)
    except MissingToolchainError as lacking:
        print(f"{language}: skipped, {lacking}", flush=True)
        return dict.fromkeys((*CHECKS, WHOLE), Finding(Verdict.SKIPPED, str(lacking)))
    except DidNotStartError as error:
        print(f"{language}: {error}", flush=True)
        return dict.fromkeys((*CHECKS, WHOLE), Finding(Verdict.FAILED, str(error)))


def _check(language: str, contract: Path | None) -> dict[str, Finding]:
    """Runs a language's check against servers of its own. Returns what was found for each check."""
    environment = {name: value for name, value in clean_environment().items() if name not in _OWN}
    environment["PATH"] = os.pathsep.join([*map(str, commands_for(language)), environment["PATH"]])
    folder = ROOT / "build" / "clients" / language
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment |= {"REPORT": str(folder / "report.xml"), "OUT": str(folder / "stubs"), "REQUIRE_ALL": "1"}
    if contract is not None:
        environment["CONTRACT"] = str(contract.resolve())

    begun = time.monotonic()
    print(f"{language}: …", flush=True)
    with all_servers(folder) as addresses:
        failure = _run(language, environment | addresses, folder / "check.log")
    print(f"{language}: {failure or 'passed'}, {time.monotonic() - begun:.0f} s", flush=True)
    if failure:
        log = (folder / "check.log").read_text(errors="replace").splitlines()
        print(*log[-_SHOWN:], f"All of it, and the gateways' logs: {folder}", sep="\n", flush=True)
    whole = Finding(Verdict.FAILED, failure) if failure else Finding(Verdict.PASSED)
    return {**read_report(folder / "report.xml"), WHOLE: whole}


def _run(language: str, environment: dict[str, str], log: Path) -> str:
    """Runs `check` with its output in a log. Returns what is wrong, or nothing."""
    check = ROOT / "clients" / language / "check"
    if not check.exists():
        log.write_text("")
        return f"no {check.relative_to(ROOT)}"
    with started([check], environment, log) as process:
        try:
            code = process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            return f"no end after {_LONGEST:.0f} s"
    return f"exit code {code}" if code else ""


if __name__ == "__main__":
    main()
