"""The load tests themselves: scenarios are bounded, thresholds hold what they say, the report shows what was found."""

import dataclasses
import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from callrequest.v1 import call_request_service_pb2 as service
from measure.loadtest import ghz, machine
from measure.loadtest.figures import change, duration, number
from measure.loadtest.gateway import Target, started
from measure.loadtest.histogram import bucket_of, edge, histogram, quantile
from measure.loadtest.measure import Measurement
from measure.loadtest.options import parse
from measure.loadtest.plain_http import NoAnswerError
from measure.loadtest.plots.scale import Linear, Log
from measure.loadtest.report import page
from measure.loadtest.results import Calls, Circumstances, Measured, Moment, NoRunError, Point, Run, read_run, write_run
from measure.loadtest.scenarios import CONCURRENCIES, FOLDER, SCENARIOS, SWEPT, Fit, most_calls, read_config, seconds_of
from measure.loadtest.thresholds import FILE, MEASURES, Threshold, WrongThresholdsError, judge, read_thresholds
from measure.loadtest.usage import Lookout, Usage, cpu_seconds, read_counts
from sandbox.dialect import Status
from sandbox.seed_data import seeds
from testkit.gateway import metrics_of
from testkit.gateway import started as gateway_started
from testkit.server_process import free_ports

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "loadtest.md"
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.json"))
PARTS = {part.name: part for scenario in SCENARIOS for part in scenario.parts}
LONGEST, MAX_CALLS = 30.0, 1_000_000
"""Seconds of a run, and calls: of more than a million ghz forgets the latencies."""


# Scenarios


def test_every_configuration_belongs_to_a_scenario_and_to_the_page() -> None:
    """The folder has the scenarios' configurations and no others, and docs/loadtest.md tells what each stands for."""
    assert sorted(PARTS) == CONFIGS
    assert set(SWEPT) <= set(CONFIGS)
    rows = re.findall(r"^\| ([a-z-]+) \| (.+?) \|", PAGE.read_text(), re.MULTILINE)
    assert [(name, re.findall(r"`(.+?)`", configs)) for name, configs in rows if name != "scenario"] == [
        (scenario.name, [part.name for part in scenario.parts]) for scenario in SCENARIOS
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_is_bounded_in_time_and_in_calls(name: str) -> None:
    """It ends by its duration, holds its rate, gives up on a call, and has no total, which ghz would forget."""
    config = read_config(name)
    assert 0 < seconds_of(config["duration"]) <= LONGEST
    assert 0 < most_calls(config) <= MAX_CALLS
    assert 0 < seconds_of(config["timeout"]) <= 10
    assert not {"total", "max-duration"} & config.keys()


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_counts_what_failed(name: str) -> None:
    """Errors are in the latencies, the last calls are waited for, and no connection has more than its 128 streams."""
    config = read_config(name)
    assert config["count-errors"] is True
    assert config["duration-stop"] == "wait"
    assert 1 <= config["connections"] <= config["concurrency"] <= 128 * config["connections"]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_sends_what_its_kind_means(name: str) -> None:
    """Polls leave max_age out, fresh reads have 0, cancels are of what can be cancelled; all fits the contract."""
    config = read_config(name)
    call = config["call"].removeprefix("callrequest.v1.CallRequestService.")
    method = service.DESCRIPTOR.services_by_name["CallRequestService"].methods_by_name[call]
    by_id = {row.id: row.plan for row in seeds()}
    statuses = set()
    for document in config["data"]:
        request = json_format.ParseDict(document, getattr(service, method.input_type.name)())
        statuses.add(by_id[request.call_request_id].status)
        if PARTS[name].kind == "cancels":
            assert call == "CancelCallRequest"
        else:
            assert call == "GetCallRequestResult"
            assert request.HasField("max_age") is (PARTS[name].kind == "fresh")
            assert request.max_age == Duration()
    if name == "hot":
        assert statuses <= {Status.PENDING_TO_CALL, Status.IN_PROGRESS, None}
    if PARTS[name].kind == "cancels":
        assert not {Status.COMPLETED, Status.IN_PROGRESS} & statuses


@pytest.mark.parametrize("length", [0.001, 0.2, 1.0])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_fitted_configuration_is_shorter_and_as_bounded(name: str, length: float) -> None:
    """A length shortens the run and its steps, never below what can be measured and never beyond the file's."""
    config = read_config(name)
    fitted = Fit("host:1", length).of(config)
    assert seconds_of(fitted["duration"]) == pytest.approx(max(seconds_of(config["duration"]) * length, 0.2))
    assert most_calls(fitted) <= most_calls(config)
    assert fitted["host"] == "host:1"
    if "load-step-duration" in config:
        assert seconds_of(fitted["load-step-duration"]) < seconds_of(fitted["duration"])


def test_ids_and_additions_of_the_user_are_in_every_call() -> None:
    """Given ids are read as the file reads its own, and what is added to ghz's configuration holds."""
    fit = Fit("host:1", ids=("aaaaaaaaaaaaaaa1", "aaaaaaaaaaaaaaa2"), also=(("insecure", False),))
    fitted = fit.of(read_config("passed-through"))
    assert fitted["data"] == [{"call_request_id": each, "max_age": "0s"} for each in fit.ids]
    assert fitted["insecure"] is False
    assert fit.of(read_config("cancel"), ids=("bbbbbbbbbbbbbbb1",))["data"] == [{"call_request_id": "bbbbbbbbbbbbbbb1"}]


@pytest.mark.parametrize("concurrency", CONCURRENCIES)
def test_a_point_of_the_sweep_opens_no_more_connections_than_calls(concurrency: int) -> None:
    """Ghz refuses more connections than calls at once."""
    fitted = Fit("host:1").of_concurrency(read_config("hot"), concurrency)
    assert fitted["concurrency"] == concurrency
    assert 1 <= fitted["connections"] <= concurrency


def test_cancels_are_left_out_where_nothing_can_be_made() -> None:
    """Without a sandbox no call request of somebody is cancelled."""
    nowhere = Measurement(Target("127.0.0.1:1", Lookout(None, None), None), Fit("127.0.0.1:1"))
    assert nowhere.scenario(next(scenario for scenario in SCENARIOS if scenario.name == "cancel")) is None


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--gateway", "127.0.0.1:1"], id="no ids for a gateway"),
        pytest.param(["--vendor-url", "https://vendor"], id="no ids for a vendor"),
        pytest.param(
            ["--vendor-url", "https://vendor", "--gateway", "127.0.0.1:1"], id="vendor of a gateway elsewhere"
        ),
        pytest.param(["--length", "0"], id="no length"),
        pytest.param(["--length", "2"], id="longer than bounded"),
        pytest.param(["--only", "nothing"], id="no such scenario"),
        pytest.param(["--ids", "/nowhere"], id="no such file"),
    ],
)
def test_what_cannot_be_run_is_said_at_once(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line ends with 2 and a sentence."""
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


# Histograms and figures

LATENCIES = st.floats(min_value=1e-5, max_value=100)


@given(LATENCIES)
def test_a_latency_lies_in_its_bucket(latency: float) -> None:
    """A bucket begins at its edge and ends where the next begins."""
    bucket = bucket_of(latency)
    assert edge(bucket) * (1 - 1e-9) <= latency < edge(bucket + 1) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(1.0, 0), (0.999, -1), (10.0, 20), (0.001, -60), (0.0, -120)], ids=lambda value: f"{value}"
)
def test_an_edge_belongs_to_the_bucket_that_begins_there(seconds: float, bucket: int) -> None:
    """Bucket 0 begins at one second, 20 make a decade, and there is one for what took no time."""
    assert bucket_of(seconds) == bucket


@given(st.lists(LATENCIES))
def test_a_histogram_has_every_latency_once(latencies: list[float]) -> None:
    """No latency is lost or counted twice, and no bucket is empty."""
    found = histogram(latencies)
    assert sum(found.values()) == len(latencies)
    assert list(found) == sorted({bucket_of(latency) for latency in latencies})


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([], 0.5, None, id="none of none"),
        pytest.param([7.0], 0.99, 7.0, id="of one"),
        pytest.param([1.0, 2.0], 0.5, 1.0, id="the half that half do not exceed"),
        pytest.param([float(value) for value in range(1, 101)], 0.99, 99.0, id="99 of 100"),
        pytest.param([float(value) for value in range(1, 102)], 0.99, 100.0, id="99 % of 101"),
        pytest.param([1.0, 2.0, 3.0], 0.0, 1.0, id="the least"),
    ],
)
def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed(
    values: list[float], share: float, expected: float | None
) -> None:
    """Nothing is interpolated: a quantile is a latency that a call had."""
    assert quantile(values, share) == expected


def test_calls_that_failed_are_no_throughput() -> None:
    """Calls a second are those that ended with OK; latencies are of all."""
    calls = Calls.of([(0.1, "OK"), (0.2, "OK"), (0.3, "Unavailable"), (0.4, "Unavailable"), (0.5, "NotFound")], 2.0)
    assert (calls.calls, calls.failed, calls.errors) == (5, 3, {"Unavailable": 2, "NotFound": 1})
    assert calls.per_second == 1.0
    assert (calls.median, calls.p99) == (0.3, 0.5)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(None), "–"),
        (number(41230.0), "41,230"),
        (number(0.00138), "0.00138"),
        (number(3.0), "3"),
        (number(52.66), "52.7"),
        (duration(None), "–"),
        (duration(0.0000854), "85 µs"),
        (duration(0.001), "1 ms"),
        (duration(0.0012449), "1.24 ms"),
        (duration(0.0531), "53.1 ms"),
        (duration(1.2), "1.2 s"),
        (change(88.0, 100.0), "−12 %"),
        (change(104.0, 100.0), "+4 %"),
        (change(100.1, 100.0), "±0 %"),
        (change(310.0, 100.0), "3.1 ×"),
        (change(1.0, None), None),
        (change(1.0, 0.0), None),
    ],
)
def test_figures_have_three_digits_and_the_unit_that_suits(written: str | None, expected: str | None) -> None:
    """A figure and its unit stay on one line; without a figure there is a dash."""
    assert written == (expected and expected.replace(" ", "\u00a0"))


@pytest.mark.parametrize(("value", "pixel"), [(1.0, 100.0), (10.0, 150.0), (100.0, 200.0), (0.01, 100.0)])
def test_a_logarithmic_scale_gives_each_decade_the_same_room(value: float, pixel: float) -> None:
    """Its ends are the range's, and what is below is at the lower end."""
    assert Log(1.0, 100.0, 100.0, 200.0)(value) == pytest.approx(pixel)


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        (Log(0.0007, 0.2, 0, 1).ticks(), [0.001, 0.01, 0.1]),
        (Log(0.04, 0.6, 0, 1).ticks(), [0.05, 0.1, 0.2, 0.5]),
        (Linear(4300, 0, 1).ticks(), [0, 1000, 2000, 3000, 4000]),
        (Linear(25, 0, 1).ticks(), [0, 5, 10, 15, 20, 25]),
        (Linear(0.9, 0, 1).ticks(), [0, 0.2, 0.4, 0.6, 0.8]),
    ],
)
def test_axes_are_written_at_round_values(ticks: list[float], expected: list[float]) -> None:
    """Few values, all round and all within the range."""
    assert ticks == pytest.approx(expected)


# What the gateway did

EXPOSITION = """\
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_method="GetCallRequestResult",grpc_service="callrequest.v1.CallRequestService",grpc_type="unary"} 40
grpc_server_handled_total{grpc_code="UNAVAILABLE",grpc_method="CancelCallRequest",grpc_service="callrequest.v1.CallRequestService",grpc_type="unary"} 2
grpc_server_handled_total{grpc_code="OK",grpc_method="Check",grpc_service="grpc.health.v1.Health",grpc_type="unary"} 500
# TYPE vendor_request_seconds histogram
vendor_request_seconds_bucket{le="+Inf",operation="result",outcome="2xx"} 7
vendor_request_seconds_count{operation="result",outcome="2xx"} 7
vendor_request_seconds_count{operation="result",outcome="5xx"} 1
vendor_request_seconds_count{operation="cancel",outcome="2xx"} 2
vendor_request_seconds_count{operation="token",outcome="2xx"} 100
vendor_request_seconds_sum{operation="result",outcome="2xx"} 9
"""  # noqa: E501 (Prometheus' own lines)


def test_calls_and_requests_are_counted_whatever_became_of_them() -> None:
    """Served are the service's calls of each method and code; asked are results and cancels, not tokens."""
    assert read_counts(EXPOSITION) == (42, 10)


async def test_the_counts_are_those_that_the_gateway_has() -> None:
    """The names looked for are the names of the gateway's metrics."""
    async with gateway_started(None) as gateway:
        text = await metrics_of(gateway)
    names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert {"grpc_server_handled_total", "vendor_request_seconds"} <= names


def test_usage_is_what_was_done_since() -> None:
    """Counts are differences, and what is not known stays so."""
    assert Usage(10, 4, 2.5).since(Usage(4, 1, 1.0)) == Usage(6, 3, 1.5)
    assert Usage(10, 4, None).since(Usage(None, 1, 1.0)) == Usage(None, 3, None)


def test_cpu_time_is_that_of_the_process_and_of_all_below() -> None:
    """A gateway may have workers, and they may have a launcher between."""
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ntime.sleep(60)"
    between = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen(
        [sys.executable, "-c", between, burn], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert 0.25 < cpu_seconds(process.pid) < 2
        finally:
            os.killpg(process.pid, 9)
    assert cpu_seconds(process.pid) == 0


# Thresholds

GOOD = Calls(calls=1000, seconds=10.0, errors={}, median=0.001, p99=0.05, latencies={-60: 1000})


def _hot(total: Calls = GOOD, served: float | None = 1000.0, asked: float | None = 50.0) -> dict[str, Measured]:
    return {"hot": Measured(total, served=served, asked=asked)}


@pytest.mark.parametrize(
    ("measure", "at_most", "limit", "passed"),
    [
        pytest.param("errors_share", True, 0.0, True, id="no error, none allowed"),
        pytest.param("p99_ms", True, 50.0, True, id="at the limit"),
        pytest.param("p99_ms", True, 49.9, False, id="beyond the limit"),
        pytest.param("median_ms", True, 1.0, True, id="median, in milliseconds"),
        pytest.param("calls_per_second", False, 100.0, True, id="as many as needed"),
        pytest.param("calls_per_second", False, 100.1, False, id="fewer than needed"),
        pytest.param("vendor_calls_per_call", True, 0.05, True, id="the vendor as often as allowed"),
        pytest.param("vendor_calls_per_call", True, 0.049, False, id="the vendor more often"),
        pytest.param("vendor_calls_per_call", False, 1.0, False, id="the vendor less often than it must be"),
    ],
)
def test_a_threshold_is_missed_beyond_its_limit_only(measure: str, at_most: bool, limit: float, passed: bool) -> None:
    """At most and at least both include the limit."""
    (verdict,) = judge([Threshold("hot", measure, at_most, limit)], _hot())
    assert verdict.passed is passed


def test_one_error_misses_a_threshold_of_none() -> None:
    """The share is of all calls."""
    total = dataclasses.replace(GOOD, errors={"Unavailable": 1})
    (verdict,) = judge([Threshold("hot", "errors_share", True, 0.0)], _hot(total))
    assert (verdict.value, verdict.passed) == (0.001, False)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("at_most", [True, False])
def test_a_scenario_without_calls_misses_every_threshold(measure: str, at_most: bool) -> None:
    """A gateway that answered nobody was not fast."""
    nothing = Calls.of([], 1.0)
    (verdict,) = judge([Threshold("hot", measure, at_most, 0.0)], _hot(nothing, served=0, asked=0))
    assert verdict.passed is False


def test_what_the_gateway_does_not_tell_is_neither_passed_nor_missed() -> None:
    """A gateway elsewhere has its metrics elsewhere; a scenario that was left out has no verdict at all."""
    thresholds = [Threshold("hot", "vendor_calls_per_call", True, 0.05), Threshold("cancel", "errors_share", True, 0)]
    (verdict,) = judge(thresholds, _hot(served=None, asked=None))
    assert verdict.passed is None


def test_every_scenario_has_thresholds_that_allow_no_error() -> None:
    """Ratios are strict on every machine: no errors, polls that hardly reach the vendor, reads passed through once."""
    bounds = {(each.scenario, each.measure, each.at_most): each.limit for each in read_thresholds(FILE)}
    for scenario in SCENARIOS:
        assert bounds[scenario.name, "errors_share", True] == 0
        assert (scenario.name, "p99_ms", True) in bounds
        assert (scenario.name, "calls_per_second", False) in bounds
    assert bounds["hot", "vendor_calls_per_call", True] <= 0.05
    assert bounds["passed-through", "vendor_calls_per_call", True] == 1
    assert bounds["passed-through", "vendor_calls_per_call", False] == 1


def test_every_measure_is_told_on_the_page() -> None:
    """docs/loadtest.md and the head of thresholds.toml name what can be bounded."""
    for path in (PAGE, FILE):
        assert set(MEASURES) <= set(re.findall(r"\w+", path.read_text())), path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[cold]\nerrors_share_most = 0", "[cold]", id="no such scenario"),
        pytest.param("[hot]\nerrors_most = 0", "errors_most", id="no such measure"),
        pytest.param("[hot]\nerrors_share = 0", "errors_share", id="neither most nor least"),
        pytest.param("[hot]\nerrors_share_max = 0", "errors_share_max", id="another word for most"),
        pytest.param("[hot]\nerrors_share_most = '0'", "number", id="no number"),
        pytest.param("[hot]\nerrors_share_most = true", "number", id="a truth"),
        pytest.param("hot = 1", "[hot]", id="no table"),
        pytest.param("[hot", "thresholds.toml", id="no TOML"),
    ],
)
def test_a_threshold_that_would_bound_nothing_is_refused(text: str, told: str, tmp_path: Path) -> None:
    """A slip in the file must not make a threshold vanish."""
    path = tmp_path / "thresholds.toml"
    path.write_text(text)
    with pytest.raises(WrongThresholdsError) as refused:
        read_thresholds(path)
    assert told in str(refused.value)


# The report


def _calls(scale: float, number_of_calls: int = 200) -> Calls:
    return Calls.of([(scale * (1 + each / 50), "OK") for each in range(number_of_calls)], 2.0)


def _measured(scenario: Any, scale: float) -> Measured:
    parts = {part.name: _calls(scale * (1 + index)) for index, part in enumerate(scenario.parts)}
    course = tuple(Moment(at / 2, 0.5, 50.0 * (1 + at // 2), 6.0) for at in range(10)) if len(parts) > 1 else ()
    total = _calls(scale, 200 * len(parts))
    return Measured(total, parts if len(parts) > 1 else {}, served=200, asked=20, cpu=0.1, course=course)


def _run(scale: float = 0.001, **changed: Any) -> Run:
    points = tuple(
        Point(concurrency, 1000 / scale / (1 + concurrency), scale, scale * 3) for concurrency in CONCURRENCIES
    )
    about = Circumstances(
        "2026-11-22T12:00:00+00:00", "0.1.0", "abc1234", 1.0, "the embedded sandbox", 0.05, ("a", "b")
    )
    usual: dict[str, Any] = {
        "circumstances": about,
        "scenarios": {scenario.name: _measured(scenario, scale) for scenario in SCENARIOS},
        "sweep": dict.fromkeys(SWEPT, points),
    }
    return Run(**(usual | changed))


def _page(run: Run, kept: Run | None = None) -> str:
    return page(run, judge(read_thresholds(FILE), run.scenarios), kept)


def _drawings(text: str) -> Iterator[tuple[str, float, str]]:
    """Each drawing: what it says it shows, its width, and its elements."""
    for width, says, inside in re.findall(r'<svg [^>]*width="(\d+)"[^>]*aria-label="([^"]+)">(.*?)</svg>', text):
        yield says, float(width), inside


def test_the_report_needs_nothing_but_itself() -> None:
    """No address of any kind is in it: no script, style, font or picture comes from elsewhere."""
    text = _page(_run(), _run(0.002))
    assert not re.findall(r"https?:|//\w|\bsrc=|\bhref=|<link|<script|<iframe|@import|url\(", text)


def test_every_plot_has_data_at_both_widths() -> None:
    """What was measured is drawn, for a desk and for a telephone."""
    run = _run()
    buckets = sum(len(calls.latencies) for scenario in run.scenarios.values() for calls in _runs_of(scenario))
    expected = {
        "Histograms of latencies, over a logarithmic axis": ("<rect", buckets),
        "Calls a second against concurrency": ("<circle", len(SWEPT) * len(CONCURRENCIES)),
        "Latency against concurrency, median and 99th percentile": ("<circle", len(SWEPT) * len(CONCURRENCIES)),
        "Requests to the vendor against calls served, by scenario": ("<circle", 2 * len(SCENARIOS)),
        "Calls served and requests to the vendor a second, over time": ("<rect", 2 * 10),
    }
    found = [(says, inside.count(expected[says][0])) for says, _, inside in _drawings(_page(run))]
    assert sorted(found) == sorted([(says, times) for says, (_, times) in expected.items()] * 2)


def _runs_of(measured: Measured) -> list[Calls]:
    return list(measured.parts.values()) or [measured.total]


@pytest.mark.parametrize("scale", [1e-5, 0.1, 30.0])
def test_every_mark_is_within_its_drawing(scale: float) -> None:
    """No column, dot or corner of a line is lost outside, neither of this run nor of the kept one."""
    for says, width, inside in _drawings(_page(_run(), _run(scale))):
        corners = re.findall(r"[ML](-?[\d.]+) ", "".join(re.findall(r' d="(.+?)"', inside)))
        found = [float(value) for value in re.findall(r' c?x="(-?[\d.]+)"', inside) + corners]
        assert found, says
        assert min(found) >= 0, says
        assert max(found) <= width, says


def test_every_mark_says_its_figure_when_pointed_at() -> None:
    """Columns and dots have their figures as titles, so that none has to be guessed."""
    for says, _, inside in _drawings(_page(_run())):
        for mark in re.findall(r"<(?:rect|circle) [^>]*>(.*?)</", inside):
            assert re.match(r"<title>.*\d", mark), says


def test_the_kept_run_is_drawn_and_told_beside_this_one() -> None:
    """Dashed lines in the plots, changes in the table, and from when it is; without one, none of it."""
    alone, beside = _page(_run()), _page(_run(), _run(0.002))
    assert 'class="cache"' not in alone
    assert beside.count('class="cache"') == 2 * (6 + 2 * len(SWEPT))
    assert "Kept on 2026-11-22, at abc1234" in beside
    assert "−50\u00a0%" in beside
    assert "−50\u00a0%" not in alone


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        pytest.param({"machine": ("another",)}, "another machine", id="machine"),
        pytest.param({"length": 0.2}, "at length 0.2 where this one has 1", id="length"),
    ],
)
def test_a_kept_run_that_cannot_be_compared_says_so(changed: dict[str, Any], told: str) -> None:
    """Times of another machine, or of a shorter run, are no change of the gateway's."""
    kept = _run(circumstances=dataclasses.replace(_run().circumstances, **changed))
    assert told in _page(_run(), kept)


def test_the_report_says_which_thresholds_were_missed() -> None:
    """The heading counts them, and each has its line with what was measured and what is allowed."""
    run = _run(scenarios=_hot())
    missed = [Threshold("hot", "p99_ms", True, 0.5), Threshold("hot", "errors_share", True, 0)]
    text = page(run, judge(missed, run.scenarios), None)
    assert '<h1 class="missed">1 of 2 thresholds missed</h1>' in text
    assert "<li>Hot polling: 99th percentile is 50 ms, must be ≤ 0.5 ms</li>" in text.replace("\u00a0", " ")
    assert '<h1 class="passed">All thresholds hold</h1>' in page(run, judge(missed[1:], run.scenarios), None)


def test_a_run_of_little_has_a_report_too() -> None:
    """A gateway elsewhere tells no counts, and some scenarios may have been left out, or have had no answer."""
    nothing = Measured(Calls.of([], 1.0))
    scenarios = {
        "hot": nothing,
        "mixed-day": dataclasses.replace(_run().scenarios["mixed-day"], served=None, asked=None),
    }
    text = _page(_run(scenarios=scenarios, sweep={}, left_out=("Cancels <are> left out.",)))
    assert "Cancels &lt;are&gt; left out." in text
    assert "against concurrency" not in text
    assert len(list(_drawings(text))) == 4


# Keeping


def test_a_kept_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    """It is small enough to commit, and holds aggregates, not calls."""
    path = tmp_path / "kept.json"
    write_run(_run(), path)
    assert read_run(path) == _run()
    assert path.stat().st_size < 50_000
    assert read_run(tmp_path / "none.json") is None


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """A file of another version is told of before anything is measured."""
    path = tmp_path / "kept.json"
    path.write_text('{"circumstances": 1}')
    with pytest.raises(NoRunError, match=r"kept\.json"):
        read_run(path)


def test_the_machine_is_described_without_anybodys_name() -> None:
    """Neither paths nor the names of the host and its user are kept."""
    told = " ".join(machine.machine())
    assert "core" in told
    assert "Python" in told
    for personal in (str(Path.home()), str(ROOT), socket.gethostname(), "/home"):
        assert personal not in told
    assert getpass.getuser() not in told.split()


# All of it


@pytest.fixture(scope="module")
def _ghz() -> None:
    """Nothing is skipped where ghz is missing: it is built, which takes minutes the first time."""
    ghz.install()


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
    assert target.lookout.pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(target.lookout.pid, 0)


@pytest.mark.usefixtures("_ghz")
@pytest.mark.timeout(900)
def test_a_short_run_measures_everything_and_ends_by_its_thresholds(tmp_path: Path) -> None:
    """From the command line to the report: it exits with 0 or 1 by the thresholds, and loads no vendor unasked."""
    generous = "".join(f"[{scenario.name}]\nerrors_share_most = 0\n" for scenario in SCENARIOS)
    ended = _loadtest(tmp_path, generous, "--length", "0.02", "--keep")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run = read_run(tmp_path / "kept.json")
    assert run is not None
    assert list(run.scenarios) == [scenario.name for scenario in SCENARIOS]
    assert {name: len(points) for name, points in run.sweep.items()} == dict.fromkeys(SWEPT, len(CONCURRENCIES))
    for measured in run.scenarios.values():
        assert measured.total.calls == measured.served
        assert measured.cpu is not None
        assert measured.cpu > 0
    assert run.scenarios["passed-through"].asked_per_call == 1
    assert run.scenarios["cancel"].asked_per_call == 1
    assert run.scenarios["hot"].asked is not None
    assert run.scenarios["hot"].asked < run.scenarios["hot"].total.calls / 2
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
def test_a_gateway_that_answers_nobody_is_not_measured() -> None:
    """Failing at once is fast: no figure of it may be taken for the gateway's."""
    (port,) = free_ports(1)
    nobody = Measurement(Target(f"127.0.0.1:{port}", Lookout(None, None), None), Fit(f"127.0.0.1:{port}", 0.02))
    with pytest.raises(NoAnswerError, match="Unavailable"):
        nobody.warm_up()


def test_a_run_that_cannot_begin_ends_with_2(tmp_path: Path) -> None:
    """A threshold that is written wrongly is told of before two minutes have gone by."""
    ended = _loadtest(tmp_path, "[cold]\n")
    assert ended.returncode == 2
    assert "[cold] is no scenario" in ended.stderr


def _loadtest(into: Path, thresholds: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = into / "thresholds.toml"
    path.write_text(thresholds)
    files: list[str | Path] = ["--into", into, "--kept", into / "kept.json", "--thresholds", path]
    # A vendor that would answer nobody: it must not be asked.
    vendor = {"VENDOR_URL": "http://127.0.0.1:1", "VENDOR_CLIENT_ID": "id", "VENDOR_CLIENT_SECRET": "secret"}
    return subprocess.run(
        [sys.executable, "-m", "measure.loadtest", *files, *arguments],
        cwd=ROOT,
        env=os.environ | {f"GATEWAY_{name}": value for name, value in vendor.items()},
        capture_output=True,
        text=True,
        check=False,
    )
