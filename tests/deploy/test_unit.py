"""deploy/systemd: the unit fits the gateway's settings, exit codes and threads."""

import re
from collections import defaultdict

from server.settings import PREFIX, Settings
from tools.contract import ROOT


def _directives() -> dict[str, list[str]]:
    found = defaultdict(list)
    for name, value in re.findall(r"^(\w+)=(.*)$", _unit(), re.MULTILINE):
        found[name].append(value)
    return found


def _unit() -> str:
    return (ROOT / "deploy/systemd/call-request-gateway.service").read_text()


UNIT = _directives()


def test_its_environment_is_of_settings() -> None:
    """A name that is no setting changes nothing; a credential is named as its setting, in lower case."""
    names = {each.partition("=")[0].removeprefix(PREFIX).lower() for each in UNIT["Environment"]}
    credentials = {each.partition(":")[0].removeprefix(PREFIX.lower()) for each in UNIT["LoadCredential"]}
    assert (names | credentials) - set(Settings.model_fields) == set()


def test_the_gateway_has_its_whole_grace_to_end() -> None:
    """Systemd kills what is left after TimeoutStopSec; SIGTERM goes to the first process, which ends its workers."""
    assert int(UNIT["TimeoutStopSec"][0]) > Settings.model_fields["grace"].default
    assert UNIT["KillMode"] == ["mixed"]


def test_a_wrong_setting_is_not_tried_again() -> None:
    """Exit code 2 is the same a second later; any other end is followed by a start, without a limit."""
    assert "2" in UNIT["RestartPreventExitStatus"][0].split()
    assert UNIT["Restart"] == ["always"]
    assert UNIT["StartLimitIntervalSec"] == ["0"]


def test_the_metrics_see_their_process() -> None:
    """`process_*` need /proc/stat, which ProcSubset=pid hides."""
    assert UNIT["ProcSubset"] == ["all"]


def test_threads_may_yield() -> None:
    """GATEWAY_IO_NICENESS calls setpriority, which is in a group of calls that is refused."""
    assert UNIT["SystemCallFilter"] == ["@system-service", "~@privileged @resources", "setpriority"]
