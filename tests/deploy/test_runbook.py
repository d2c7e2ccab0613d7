"""The runbook's commands: those of the gateway are known, and need nothing that the machine may not have."""

import re

import pytest

from testkit.engine import engine
from testkit.server_process import free_ports
from tools.contract import ROOT
from tools.deploy.alerts.source import read
from tools.deploy.runbook.page import RUNBOOK, sections
from tools.deploy.runbook.shown import SHOWN
from tools.deploy.runbook.valkey_cli import ask

COMMANDS = list(dict.fromkeys(command for section in sections() for command in section.commands))
USUAL = {"call-request-gateway", "curl", "grep", "tail", "kill", "df", "ls", "valkey-cli"}


@pytest.mark.parametrize("command", [pytest.param(command, id=command[:60]) for command in COMMANDS])
def test_a_command_uses_what_every_machine_has(command: str) -> None:
    """An operator at night installs nothing."""
    programs = {part.split()[0] for part in re.split(r" \| (?![^']*'(?:[^']*'[^']*')*[^']*$)", command)}
    assert programs <= USUAL


def test_every_section_says_what_to_look_at() -> None:
    """A diagnosis without a command or a query is an opinion."""
    assert [section.alert for section in sections() if not section.commands and not section.queries] == []


def test_each_command_has_what_it_prints_and_nothing_else_has() -> None:
    """The check compares them: a command that shows nothing of what its section promises is found."""
    assert set(SHOWN) == set(COMMANDS)


def alternatives(pattern: str) -> set[str]:
    """What a pattern of grep's looks for, one by one."""
    group = re.search(r"\(([^()]*)\)", pattern)  # the innermost first
    if group is None:
        return {pattern}
    begin, end = pattern[: group.start()], pattern[group.end() :]
    return {found for each in group[1].split("|") for found in alternatives(f"{begin}{each}{end}")}


def test_the_log_has_each_event_that_a_command_looks_for() -> None:
    """Each alternative by itself: one that no line has any more would hide behind the others."""
    sources = "\n".join(path.read_text() for path in (ROOT / "server").rglob("*.py"))
    patterns = [pattern for command in COMMANDS for pattern in re.findall(r'"event":"(.*?)"?\'', command)]
    assert [each for pattern in patterns for each in alternatives(pattern) if not re.search(f'"{each}', sources)] == []
    assert len(patterns) > 10


WINDOWS = {"m": 60, "h": 3600, "d": 86400}
NAMES = {"5 minutes": 300, "10 minutes": 600, "15 minutes": 900, "1 hour": 3600, "1 day": 86400}


def test_how_long_an_alert_echoes_is_on_the_page() -> None:
    """As long as its longest window; one without a window ends with its cause, and is not in the table."""
    echoes: dict[str, int] = {}
    for alert in read().alerts:
        seconds = [int(number) * WINDOWS[unit] for number, unit in re.findall(r"\[(\d+)([mhd])\]", alert.expr)]
        if seconds:
            echoes[alert.name] = max(seconds)
    rows = re.findall(r"^\| ([^|]+) \| (Gateway[^|]+) \|$", RUNBOOK.read_text(), re.MULTILINE)
    assert {alert: NAMES[name] for name, alerts in rows for alert in alerts.split(", ")} == echoes


def test_what_stands_in_for_valkey_cli_prints_as_it_does() -> None:
    """A list's element on a line, a text as it is."""
    (port,) = free_ports(1)
    with engine(port):
        assert ask("127.0.0.1", port, ["ROLE"]) == "master\n0"
        assert ask("127.0.0.1", port, ["SET", "a", "one\ntwo"]) == "OK"
        assert ask("127.0.0.1", port, ["GET", "a"]) == "one\ntwo"
        assert ask("127.0.0.1", port, ["GET", "b"]) == ""
