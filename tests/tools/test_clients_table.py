"""The command that checks the clients of every language: what it starts, what it reads, what it prints."""

from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from tools.clients.reports import CHECKS, MISSING, Finding, Verdict, check_of, read_report
from tools.clients.servers import all_servers
from tools.clients.table import WHOLE, held, render
from tools.clients.toolchains import INSTALLED, MissingToolchainError, commands_for

PASSED = Finding(Verdict.PASSED)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param("keeps_its_deadline", id="as-it-is"),
        pytest.param("test_keeps_its_deadline[aio-hang]", id="pytest"),
        pytest.param("TestKeepsItsDeadline", id="go"),
        pytest.param("Test_keeps_its_deadline/reading", id="go-subtest"),
        pytest.param("keepsItsDeadline()", id="junit"),
        pytest.param("io.example.DeadlineTest.keepsItsDeadline", id="junit-with-its-class"),
        pytest.param("keepsItsDeadline(String, int)[1]", id="junit-parameterized"),
        pytest.param("checks > keeps its deadline", id="vitest"),
    ],
)
def test_a_case_is_known_by_the_name_of_its_check(case: str) -> None:
    """Whatever the framework and the naming of its language."""
    assert check_of(case) == "keeps_its_deadline"


def test_the_worst_case_of_a_check_counts(tmp_path: Path) -> None:
    """A check with several cases has passed when each has; one without any is missing."""
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuites><testsuite><testcase name="test_watches_health[aio]"/></testsuite><testsuite>
        <testcase name="test_watches_health[blocking]"><skipped message="none in this language"/></testcase>
        <testcase name="test_sends_a_cancel_once[aio]"><failure message="">sent twice
          at line 7</failure></testcase>
        <testcase name="test_sends_a_cancel_once[blocking]"/>
        <testcase name="test_keeps_its_deadline"/>
        <testcase name="test_of_its_own"><error/></testcase>
        </testsuite></testsuites>"""
    )
    found = read_report(report)
    assert list(found) == list(CHECKS)
    assert found.pop("watches_health") == Finding(Verdict.SKIPPED, "none in this language")
    assert found.pop("sends_a_cancel_once") == Finding(Verdict.FAILED, "sent twice")
    assert found.pop("keeps_its_deadline") == PASSED
    assert set(found.values()) == {MISSING}


def test_without_a_report_every_check_is_missing(tmp_path: Path) -> None:
    """A build that fails writes none, one that is killed may write half of it."""
    (tmp_path / "half.xml").write_text("<testsuites><testsuite>")
    for name in ("none.xml", "half.xml"):
        assert set(read_report(tmp_path / name).values()) == {MISSING}


def test_the_table_has_each_reason_once() -> None:
    """Checks are rows, languages columns; why something was skipped or failed stands below."""
    checks = (*CHECKS, WHOLE)
    columns = {
        "go": dict.fromkeys(checks, PASSED) | {"watches_health": MISSING},
        "java": dict.fromkeys(checks, Finding(Verdict.SKIPPED, "no JDK 17 or later")),
        "python": dict.fromkeys(checks, PASSED) | {WHOLE: Finding(Verdict.FAILED, "exit code 1")},
    }
    lines = render(columns).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line]
    assert rows[0] == ["", "go", "java", "python"]
    cells = {check: found for check, *found in rows}
    assert cells["keeps_its_deadline"] == ["✓", "skipped [1]", "✓"]
    assert cells["watches_health"] == ["✗ missing", "skipped [1]", "✓"]
    assert cells[WHOLE] == ["✓", "skipped [1]", "✗ [2]"]
    assert lines[-3:] == ["", "[1] java: no JDK 17 or later", "[2] python: exit code 1"]


@pytest.mark.parametrize(
    ("found", "on_a_machine", "in_ci"),
    [
        pytest.param(PASSED, True, True, id="passed"),
        pytest.param(Finding(Verdict.SKIPPED, "no mvn"), True, False, id="skipped"),
        pytest.param(MISSING, False, False, id="missing"),
    ],
)
def test_what_is_skipped_fails_in_ci_alone(found: Finding, on_a_machine: bool, in_ci: bool) -> None:
    """A user may have no JDK; CI has everything."""
    columns = {"go": {"keeps_its_deadline": PASSED}, "java": {"keeps_its_deadline": found}}
    assert held(columns, skipping=True) is on_a_machine
    assert held(columns, skipping=False) is in_ci


def test_a_missing_toolchain_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What no package registry of ours has must be there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolchainError, match="no JDK 17 or later"):
        commands_for("java")


def test_no_toolchain_is_installed_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test would stand still for a minute: it is skipped, and names the command."""
    if INSTALLED.exists():
        pytest.skip("build/toolchains is there: nothing is left to install")
    monkeypatch.setenv("PATH", str(tmp_path))
    for language in ("go", "typescript"):
        with pytest.raises(MissingToolchainError, match=r"run `.venv/bin/python -m tools.clients.toolchains`"):
            commands_for(language, may_install=False)
    assert not INSTALLED.exists()


def test_the_servers_serve_and_end(tmp_path: Path) -> None:
    """Each is there when the check begins, the later version with words that today's stubs do not know."""
    with all_servers(tmp_path) as environment:
        with grpc.insecure_channel(environment["CALL_REQUEST_GATEWAY"]) as channel:
            request = GetCallRequestResultRequest(call_request_id="statusPending001")
            assert CallRequestServiceStub(channel).GetCallRequestResult(request, timeout=5)
        with grpc.insecure_channel(environment["CALL_REQUEST_GATEWAY_NEXT"]) as channel:
            stub = CallRequestServiceStub(channel)
            request = GetCallRequestResultRequest(call_request_id="nextVersion00001")
            result = stub.GetCallRequestResult(request, timeout=5).call_request_result
            assert (result.status, result.outcome.call_type) == (99, 99)
            assert b"tomorrow" in result.SerializeToString()
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetCallRequestResult(GetCallRequestResultRequest(call_request_id="nextVersion00002"), timeout=5)
            info = ErrorInfo()
            assert rpc_status.from_call(caught.value).details[0].Unpack(info)  # type: ignore[arg-type]  # each is a call
            assert (caught.value.code(), info.reason) == (grpc.StatusCode.UNAVAILABLE, "VENDOR_ON_THE_MOON")
    for name in ("CALL_REQUEST_GATEWAY", "CALL_REQUEST_GATEWAY_TLS", "CALL_REQUEST_GATEWAY_NEXT"):
        with grpc.insecure_channel(environment[name]) as channel, pytest.raises(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(0.2)
