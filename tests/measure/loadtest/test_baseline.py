"""The baseline: a run is read back as it was written, without personal data."""

import getpass
import socket
from pathlib import Path

import pytest

from measure.loadtest import machine
from measure.loadtest.results import NoRunError, read_run, write_run
from testkit.server_process import ROOT
from tests.measure.loadtest.runs import example_run


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """It is small enough to commit, and holds aggregates, not calls."""
    path = tmp_path / "baseline.json"
    write_run(example_run(), path)
    assert read_run(path) == example_run()
    assert path.stat().st_size < 50_000
    assert read_run(tmp_path / "none.json") is None


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """A file of another version is an error before anything is measured."""
    path = tmp_path / "baseline.json"
    path.write_text('{"circumstances": 1}')
    with pytest.raises(NoRunError, match=r"baseline\.json"):
        read_run(path)


def test_the_machine_is_described_without_anybodys_name() -> None:
    """Neither paths nor the names of the host and its user are baseline."""
    described = " ".join(machine.machine())
    assert "core" in described
    assert "Python" in described
    for personal in (str(Path.home()), str(ROOT), socket.gethostname(), "/home"):
        assert personal not in described
    assert getpass.getuser() not in described.split()
