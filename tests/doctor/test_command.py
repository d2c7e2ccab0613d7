"""The command as operators type it: lines or JSON, exit code 0 or 1."""

import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.doctor.examination import AFTER_SETTINGS
from testkit.gateway import SECRET
from testkit.server_process import ROOT, free_ports, gateway_environment


def _doctor(
    *options: str, open_files: int | None = None, encoding: str = "utf-8", **settings: Any
) -> "subprocess.CompletedProcess[str]":
    def limit() -> None:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    return subprocess.run(
        [sys.executable, "-m", "server", "doctor", *options],
        cwd=ROOT,
        env=gateway_environment(**settings) | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        preexec_fn=limit,
    )


def test_all_is_well_without_a_vendor() -> None:
    """A line for each check, a last one that counts, exit code 0, nothing on stderr."""
    ended = _doctor()
    assert (ended.returncode, ended.stderr) == (0, "")
    *lines, last = ended.stdout.splitlines()
    states = [line.split()[0] for line in lines]
    assert set(states) == {"ok", "skipped"}
    assert last == f"{states.count('ok')} ok, 0 failed, {states.count('skipped')} skipped"


def test_failed_alone_prints_only_what_failed_and_the_count() -> None:
    """At night eighteen lines are too many; the last one still counts all."""
    ended = _doctor("--failed", VENDOR_UURL="https://vendor.example")
    first, last = ended.stdout.splitlines()
    assert (ended.returncode, first.split()[0]) == (1, "FAILED")
    assert " 1 failed, " in last
    assert _doctor("--failed").stdout.splitlines()[1:] == []


def test_json_has_every_check_of_a_vendor_that_is_down() -> None:
    """One document; exit code 1; no secret."""
    (closed,) = free_ports(1)
    url = f"http://127.0.0.1:{closed}"
    ended = _doctor("--json", VENDOR_URL=url, VENDOR_CLIENT_ID="client", VENDOR_CLIENT_SECRET=SECRET)
    document = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr, document["ok"]) == (1, "", False)
    assert {finding["check"] for finding in document["findings"]} == {"settings", *AFTER_SETTINGS}
    failed = [finding["check"] for finding in document["findings"] if finding["state"] == "failed"]
    assert failed == ["connection"]
    assert SECRET not in ended.stdout


def test_wrong_settings_are_findings_and_skip_the_rest() -> None:
    """All lines of the start, exit code 1; no secret."""
    ended = _doctor(GRACE=SECRET, VENDOR_URL="ftp://vendor.example", VENDOR_CA="/no/such/file")
    assert ended.returncode == 1
    failed = [line for line in ended.stdout.splitlines() if line.startswith("FAILED")]
    assert [line.split()[1:3] for line in failed] == [
        ["settings", "GATEWAY_VENDOR_URL:"],
        ["settings", "GATEWAY_GRACE:"],
        ["settings", "GATEWAY_VENDOR_CA:"],
    ]
    assert f"{len(failed)} failed, {len(AFTER_SETTINGS)} skipped" in ended.stdout
    assert SECRET not in ended.stdout + ended.stderr


def test_a_file_that_cannot_be_read_is_a_wrong_setting() -> None:
    """As the start refuses it."""
    assert "GATEWAY_VENDOR_CA: cannot be read" in _doctor(VENDOR_CA="/no/such/file").stdout


def test_a_misspelt_setting_fails_its_check() -> None:
    """A start only warns of it; a person who asks wants to know."""
    ended = _doctor(VENDOR_UURL="https://vendor.example")
    assert ended.returncode == 1
    assert "GATEWAY_VENDOR_UURL: without effect: correct the name" in ended.stdout


def test_too_few_open_files_fail_their_check() -> None:
    """The hard limit counts, since the gateway raises the soft one to it."""
    ended = _doctor(open_files=512)
    assert ended.returncode == 1
    assert "open files       at most 512: raise the hard limit" in ended.stdout


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_disk_is_no_traceback(options: tuple[str, ...]) -> None:
    """Nobody has the findings: exit code 1, whatever they are."""
    command = [sys.executable, "-m", "server", "doctor", *options]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            command, cwd=ROOT, env=gateway_environment(), stdout=full, stderr=subprocess.PIPE, timeout=50, check=False
        )
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_any_character_is_shown_whatever_the_terminals_encoding() -> None:
    """As backslash and number where it has no other."""
    ended = _doctor(
        VENDOR_URL="https://h\u00f6.invalid",
        VENDOR_CLIENT_ID="id",
        VENDOR_CLIENT_SECRET=SECRET,
        encoding="ascii",
    )
    assert ended.returncode == 1
    assert "h\\xf6.invalid cannot be resolved" in ended.stdout
    assert ended.stderr == ""


def test_nobody_has_to_read_to_the_end() -> None:
    """As with `doctor | head -n 1`: no traceback."""
    line, environment = f"{shlex.quote(sys.executable)} -m server doctor | head -n 1", gateway_environment()
    ended = subprocess.run(
        line, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.stdout.startswith("ok       settings")
    assert ended.stderr == ""
