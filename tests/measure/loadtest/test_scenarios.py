"""Scenarios are bounded in time and calls, and are those of the page."""

import re
from pathlib import Path

import pytest
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from callrequest.v1 import call_request_service_pb2 as service
from measure.loadtest.gateway import Target
from measure.loadtest.measure import Measurement
from measure.loadtest.options import parse
from measure.loadtest.scenarios import CONCURRENCIES, FOLDER, SCENARIOS, SWEPT, Fit, most_calls, read_config, seconds_of
from measure.loadtest.usage import UsageSource
from sandbox.dialect import Status
from sandbox.seed_data import seeds

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "loadtest.md"
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.json"))
PARTS = {part.name: part for scenario in SCENARIOS for part in scenario.parts}
CALLS = {
    "cancels": "CancelCallRequest",
    "watches": "WatchCallRequestResult",
    "batches": "BatchGetCallRequestResults",
}
"""The method of each kind; all others are GetCallRequestResult."""
LONGEST, MAX_CALLS = 30.0, 1_000_000
"""Seconds of a run, and calls: of more than a million ghz forgets the latencies."""


def test_every_configuration_belongs_to_a_scenario_and_to_the_page() -> None:
    """The folder has the scenarios' configurations and no others, and docs/loadtest.md has what each stands for."""
    assert sorted(PARTS) == CONFIGS
    assert set(SWEPT) <= set(CONFIGS)
    rows = re.findall(r"^\| ([a-z-]+) \| (.+?) \|", PAGE.read_text(), re.MULTILINE)
    assert [(name, re.findall(r"`(.+?)`", configs)) for name, configs in rows if name != "scenario"] == [
        (scenario.name, [part.name for part in scenario.parts]) for scenario in SCENARIOS
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_is_bounded_in_time_and_in_calls(name: str) -> None:
    """It ends by its duration, holds its rate, ends each call, and has no total, which ghz would forget."""
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
    """Polls leave max_age out, fresh reads have 0, cancels and watches are of what can end; all fits the contract."""
    config = read_config(name)
    call = config["call"].removeprefix("callrequest.v1.CallRequestService.")
    method = service.DESCRIPTOR.services_by_name["CallRequestService"].methods_by_name[call]
    by_id = {row.id: row.plan for row in seeds()}
    statuses = set()
    for document in config["data"]:
        request = json_format.ParseDict(document, getattr(service, method.input_type.name)())
        assert call == CALLS.get(PARTS[name].kind, "GetCallRequestResult")
        ids = request.call_request_ids if call == "BatchGetCallRequestResults" else [request.call_request_id]
        statuses |= {by_id[each].status for each in ids}
        if call in ("GetCallRequestResult", "BatchGetCallRequestResults"):
            assert request.HasField("max_age") is (PARTS[name].kind == "fresh")
            assert request.max_age == Duration()
    if PARTS[name].kind == "watches":
        assert statuses <= {Status.COMPLETED, Status.CANCELLED}  # any other watch would not end
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
    """Ids of the user are read as the file reads its own, and what is added to ghz's configuration holds."""
    fit = Fit("host:1", ids=("aaaaaaaaaaaaaaa1", "aaaaaaaaaaaaaaa2"), also=(("insecure", False),))
    fitted = fit.of(read_config("passed-through"))
    assert fitted["data"] == [{"call_request_id": each, "max_age": "0s"} for each in fit.ids]
    assert fitted["insecure"] is False
    assert fit.of(read_config("batch"))["data"] == [{"call_request_ids": list(fit.ids)}]
    assert fit.of(read_config("cancel"), ids=("bbbbbbbbbbbbbbb1",))["data"] == [{"call_request_id": "bbbbbbbbbbbbbbb1"}]


@pytest.mark.parametrize("concurrency", CONCURRENCIES)
def test_a_point_of_the_sweep_opens_no_more_connections_than_calls(concurrency: int) -> None:
    """Ghz refuses more connections than calls at once."""
    fitted = Fit("host:1").of_concurrency(read_config("hot"), concurrency)
    assert fitted["concurrency"] == concurrency
    assert 1 <= fitted["connections"] <= concurrency


def test_cancels_are_left_out_where_nothing_can_be_made() -> None:
    """Without a sandbox no call request of somebody is cancelled."""
    nowhere = Measurement(Target("127.0.0.1:1", UsageSource(None, None), None), Fit("127.0.0.1:1"))
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
def test_what_cannot_be_run_ends_the_command_at_once(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line ends with 2 and a sentence."""
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
