"""The night on call: what it draws, how long it takes at most, and how answers are read."""

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.rpc.callers_file import read_rules
from tools.contract import ROOT
from tools.deploy.alerts.source import read
from tools.deploy.game_day import desk, events
from tools.deploy.game_day.callers import NAMES, callers_file
from tools.deploy.game_day.control import COMMANDS, LOOKS
from tools.deploy.game_day.folder import ANSWERS, REPORT
from tools.deploy.game_day.night import BOUND, PAUSE_SECONDS, QUIET_SECONDS, Answers, Seen, attributed, line_of, report
from tools.deploy.game_day.rehearsal import ACTS

ALL: list[type[events.Event]] = [*(event for block in events.BLOCKS for event in block), *events.MORE]
NIGHTS = [events.drawn(random.Random(seed)) for seed in range(50)]


def test_a_night_has_each_event_of_every_night_and_one_more() -> None:
    """A vendor that comes back limping comes back at once; all else is in any order."""
    for night in NIGHTS:
        assert [each for block in events.BLOCKS for each in block if each not in night] == []
        assert len({*night} & {*events.MORE}) == 1
        assert len(night) == 6
        assert night[night.index(events.VendorDies) + 1] is events.VendorLimps
    assert len({tuple(night) for night in NIGHTS}) > 25


def test_a_seed_draws_the_same_night_again() -> None:
    """What an operator found hard can be played once more."""
    assert events.drawn(random.Random(7)) == events.drawn(random.Random(7))


def test_a_night_fits_into_half_an_hour() -> None:
    """Even if nobody does anything."""
    longest = QUIET_SECONDS + max(len(night) for night in NIGHTS) * (BOUND + PAUSE_SECONDS[1])
    assert longest <= 30 * 60


@pytest.mark.parametrize("event", ALL)
def test_an_event_has_an_alert_with_a_section_of_the_runbook(event: type[events.Event]) -> None:
    """An operator can find it, and read what to do."""
    assert event.alerts
    assert event.alerts <= set(read().rows)


def test_each_event_can_be_rehearsed() -> None:
    """`play --rehearse` tries the stage: its alert fires, and the right action ends it."""
    assert set(ACTS) == set(ALL)


@pytest.mark.parametrize("event", ALL)
def test_what_an_operator_reads_first_names_no_event(event: type[events.Event]) -> None:
    """Commands are what a platform always has."""
    texts = " ".join(" ".join(each) for each in (*COMMANDS.values(), *LOOKS.values()))
    assert event.name not in texts
    assert not [alert for alert in event.alerts if alert in texts]


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        pytest.param(events.VendorDies, "The vendor refuses connections", id="VendorDies"),
        pytest.param(events.VendorLimps, "429: too many requests, by reports", id="VendorLimps"),
        pytest.param(events.CertificateEnds, "vendor client certificate expired", id="CertificateEnds"),
        pytest.param(events.EngineFailsOver, "Valkey master lost, Sentinel failover", id="EngineFailsOver"),
        pytest.param(events.ReplicaIsKilled, "replica 2 was killed", id="ReplicaIsKilled"),
        pytest.param(events.SecretIsRotated, "our client secret is wrong", id="SecretIsRotated"),
        pytest.param(events.CallersFileIsBroken, "callers.toml has a syntax error", id="CallersFileIsBroken"),
    ],
)
def test_a_cause_is_known_by_its_words_and_taken_for_no_other(event: type[events.Event], cause: str) -> None:
    """The table's second column."""
    assert [each for each in ALL if each.is_named_in(cause)] == [event]


@pytest.mark.parametrize(
    ("text", "cause", "action"),
    [
        pytest.param("03:10:00 | it is down | started it", "it is down", "started it", id="with a time"),
        pytest.param("it is down | started it", "it is down", "started it", id="without"),
        pytest.param("it is down", "it is down", "", id="a cause alone"),
        pytest.param("03:10:00 | it is down", "it is down", "", id="a cause alone, with a time"),
    ],
)
def test_an_answer_is_a_cause_and_an_action(text: str, cause: str, action: str) -> None:
    """With the time in front that the command writes, or by hand."""
    line = line_of(text, 5.0)
    assert (line.cause, line.action, line.moment) == (cause, action, 5.0)


def test_an_answer_counts_for_the_event_that_it_names_however_late() -> None:
    """It may take longer to write than the next event takes to begin; another one is about what happens then."""
    seen = [Seen(events.ReplicaIsKilled, 10, "03:00:00", mended=9), Seen(events.SecretIsRotated, 20, "03:00:10")]
    lines = [line_of("no idea | none", 5), line_of("what is this", 15), line_of("replica 1 was killed | started", 25)]
    lines.append(line_of("the secret is wrong", 30))
    assert attributed(lines, seen) == [lines[1:3], lines[3:]]
    text = report(seen, lines)
    assert re.search(r"a replica is killed +03:00:00 +- +15 s +9 s", text)
    assert re.search(r"secret was rotated +03:00:10 +- +10 s +NOT", text)


def test_the_file_of_answers_is_read_as_it_grows(tmp_path: Path) -> None:
    """A line counts once, with the time at which it was seen."""
    path = tmp_path / "answers"
    path.write_text("the first | done\n")
    answers = Answers(path)
    answers.read()
    first = answers.lines[0]
    with path.open("a") as file:
        file.write("\nthe second | done\n")
    answers.read()
    assert [each.cause for each in answers.lines] == ["the first", "the second"]
    assert answers.lines[0] == first


def test_the_callers_of_the_night_are_those_of_their_file(tmp_path: Path) -> None:
    """The gateway's own reader takes it."""
    path = tmp_path / "callers.toml"
    path.write_text(callers_file())
    assert {each.name for each in read_rules(path).callers} == set(NAMES)


class _Prometheus:
    """Answers as one in which a page of an alert is over while its ticket fires on."""

    async def alerts(self) -> dict[str, Any]:
        labels = {"alertname": "GatewayReadsFail", "severity": "ticket"}
        texts = {"summary": "Reads fail", "description": "0% now", "runbook": "docs/runbook.md#gatewayreadsfail"}
        found = {"labels": labels, "annotations": texts, "state": "firing", "activeAt": "2026-11-27T03:00:00Z"}
        return {"alerts": [found]}

    async def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        return [({"alertname": "GatewayReadsFail", "severity": each}, 1.0) for each in ("page", "ticket")]


async def test_a_page_that_is_over_is_listed_beside_a_ticket_of_its_name() -> None:
    """They end hours apart; and an alert is printed with how it is now."""
    text = await desk.alerts(_Prometheus())  # type: ignore[arg-type]
    assert "over     GatewayReadsFail (page)" in text
    assert "over     GatewayReadsFail (ticket)" not in text
    assert "0% now" in text


@pytest.mark.parametrize("command", ["alerts", "answer", "engines"])
def test_after_its_end_each_command_says_that_the_night_is_over(command: str, tmp_path: Path) -> None:
    """And where its report is; an answer that nobody reads is not taken."""
    (tmp_path / REPORT).write_text("the table\n")
    ended = _game_day(tmp_path, command, "it is down")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"not done: the night is over; its report is {tmp_path / REPORT}\n"
    assert not (tmp_path / ANSWERS).exists()


def test_an_answer_is_confirmed(tmp_path: Path) -> None:
    """As it was understood."""
    ended = _game_day(tmp_path, "answer", "it is down", "started it")
    assert (ended.returncode, ended.stdout) == (0, "noted: it is down | started it\n")
    assert (tmp_path / ANSWERS).read_text().endswith("| it is down | started it\n")


def _game_day(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools.deploy.game_day", "--folder", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
