"""The command: on real processes, bounded, with its exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from measure.loadtest import ghz
from measure.loadtest.gateway import Target, started
from measure.loadtest.measure import Measurement
from measure.loadtest.plain_http import NoAnswerError
from measure.loadtest.results import read_run
from measure.loadtest.scenarios import CONCURRENCIES, FOLDER, SCENARIOS, SWEPT, Fit
from measure.loadtest.usage import UsageSource
from testkit.server_process import free_ports
from tests.lacking import need_go_tool

ROOT = Path(__file__).parents[3]
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def _ghz() -> None:
    """It is built."""
    need_go_tool("ghz")


@pytest.mark.usefixtures("_ghz")
@pytest.mark.timeout(900)
def test_every_configuration_runs_by_hand(tmp_path: Path) -> None:
    """`ghz --config FILE` works from the project's folder, against any gateway with the sandbox, and no call fails."""
    with started(tmp_path / "gateway.log", None, None) as target:
        for name in CONFIGS:
            report = tmp_path / f"{name}.json"
            command: list[str | Path] = [ghz.GHZ, "--config", f"measure/loadtest/configs/{name}.json", "-z", "0.3s"]
            subprocess.run([*command, "-O", "json", "-o", report, target.address], cwd=ROOT, check=True)
            codes = json.loads(report.read_text())["statusCodeDistribution"]
            assert set(codes) == {"OK"}, (name, codes)
    assert target.usage_source.pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(target.usage_source.pid, 0)


@pytest.mark.usefixtures("_ghz")
@pytest.mark.timeout(900)
def test_a_short_run_measures_everything_and_ends_by_its_thresholds(tmp_path: Path) -> None:
    """From the command line to the report: it exits with 0 or 1 by the thresholds, and loads no vendor unasked."""
    generous = "".join(f"[{scenario.name}]\nerrors_share_most = 0\n" for scenario in SCENARIOS)
    ended = _loadtest(tmp_path, generous, "--length", "0.02", "--save-baseline")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run = read_run(tmp_path / "baseline.json")
    assert run is not None
    assert list(run.scenarios) == [scenario.name for scenario in SCENARIOS]
    assert {name: len(points) for name, points in run.sweep.items()} == dict.fromkeys(SWEPT, len(CONCURRENCIES))
    for measured in run.scenarios.values():
        assert measured.total.calls == measured.served
        assert measured.cpu is not None
        assert measured.cpu > 0
    assert run.scenarios["passed-through"].vendor_calls_per_call == 1
    assert run.scenarios["cancel"].vendor_calls_per_call == 1
    assert run.scenarios["hot"].vendor_calls is not None
    assert run.scenarios["hot"].vendor_calls < run.scenarios["hot"].total.calls / 2
    assert len(run.scenarios["mixed-day"].course) > 1
    assert (tmp_path / "report.html").stat().st_size > 20_000

    missed = _loadtest(tmp_path, "[cancel]\nmedian_ms_most = 1\n", "--length", "0.02", "--only", "cancel")
    assert missed.returncode == 1
    assert "MISSED" in missed.stdout
    assert "1 of 1 thresholds missed" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("_ghz")
@pytest.mark.timeout(900)
def test_a_run_that_is_ended_leaves_no_gateway_behind(tmp_path: Path) -> None:
    """SIGTERM ends the gateway and ghz, too: a CI job that is cancelled must not keep a machine busy."""
    log = tmp_path / "gateway.log"
    command: list[str | Path] = [sys.executable, "-m", "measure.loadtest", "--into", tmp_path]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (log.exists() and '"event":"call"' in log.read_text()):
            time.sleep(0.05)
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
    assert '"event":"stopped"' in log.read_text()


@pytest.mark.usefixtures("_ghz")
@pytest.mark.timeout(900)
def test_a_gateway_without_answers_is_not_measured() -> None:
    """Failing at once is fast: no figure of it may be taken for the gateway's."""
    (port,) = free_ports(1)
    nobody = Measurement(Target(f"127.0.0.1:{port}", UsageSource(None, None), None), Fit(f"127.0.0.1:{port}", 0.02))
    with pytest.raises(NoAnswerError, match="Unavailable"):
        nobody.warm_up()


def test_a_run_that_cannot_begin_ends_with_2(tmp_path: Path) -> None:
    """A wrong threshold ends the command before two minutes are spent."""
    ended = _loadtest(tmp_path, "[cold]\n")
    assert ended.returncode == 2
    assert "[cold] is no scenario" in ended.stderr


def _loadtest(into: Path, thresholds: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = into / "thresholds.toml"
    path.write_text(thresholds)
    files: list[str | Path] = ["--into", into, "--baseline", into / "baseline.json", "--thresholds", path]
    # A vendor that answers no request: it must not be vendor_calls.
    vendor = {"VENDOR_URL": "http://127.0.0.1:1", "VENDOR_CLIENT_ID": "id", "VENDOR_CLIENT_SECRET": "secret"}
    return subprocess.run(
        [sys.executable, "-m", "measure.loadtest", *files, *arguments],
        cwd=ROOT,
        env=os.environ | {f"GATEWAY_{name}": value for name, value in vendor.items()},
        capture_output=True,
        text=True,
        check=False,
    )
