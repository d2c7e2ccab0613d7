"""The runbook's commands: those of the gateway are known, and need nothing that the machine may not have."""

import re

import pytest

from tools.deploy.runbook.page import sections

COMMANDS = list(dict.fromkeys(command for section in sections() for command in section.commands))
USUAL = {"call-request-gateway", "curl", "grep", "tail", "kill", "df", "ls"}


@pytest.mark.parametrize("command", [pytest.param(command, id=command[:60]) for command in COMMANDS])
def test_a_command_uses_what_every_machine_has(command: str) -> None:
    """An operator at night installs nothing."""
    programs = {part.split()[0] for part in re.split(r" \| (?![^']*'(?:[^']*'[^']*')*[^']*$)", command)}
    assert programs <= USUAL


def test_every_section_says_what_to_look_at() -> None:
    """A diagnosis without a command or a query is an opinion."""
    assert [section.alert for section in sections() if not section.commands and not section.queries] == []
