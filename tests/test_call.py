"""One call of a gateway from the command line: what is printed, and where."""

import json
import subprocess
import sys
from asyncio import to_thread
from pathlib import Path

import pytest

from server.app import Gateway
from testkit.certificate_authority import DNS, URI, Pki
from testkit.gateway import started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, failed, send, with_status
from testkit.server_process import ROOT, clean_environment


async def _call(gateway: Gateway, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server", "call", "--address", str(gateway.address), *arguments]
    return await to_thread(
        subprocess.run,
        command,
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize("request_", [RESULT_ID, f'{{"callRequestId": "{RESULT_ID}"}}'], ids=["id", "json"])
async def test_a_response_is_json_on_stdout(gateway: Gateway, request_: str) -> None:
    """The request is JSON, or an id alone."""
    ended = await _call(gateway, "GetCallRequestResult", request_)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["callRequestResult"]["callRequestId"] == RESULT_ID


async def test_the_address_is_that_of_the_gateway_s_settings(gateway: Gateway) -> None:
    """As healthcheck takes it; whatever the other settings are. A wildcard is reached on loopback."""
    command = [sys.executable, "-m", "server", "call", "GetCallRequestResult", RESULT_ID]
    for listen in (str(gateway.address), f"0.0.0.0:{gateway.address[1]}"):
        environment = clean_environment() | {"GATEWAY_LISTEN": listen, "GATEWAY_GRACE": "no number"}
        ended = await to_thread(
            subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")


def test_a_wrong_address_in_the_settings_is_named() -> None:
    """Is named as every wrong setting is, exit code 2."""
    environment = clean_environment() | {"GATEWAY_LISTEN": "nowhere"}
    command = [sys.executable, "-m", "server", "call", "GetCallRequestResult", RESULT_ID]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("GATEWAY_LISTEN: must be host:port")


async def test_a_watch_prints_each_response(gateway: Gateway, vendor: ScriptedVendor) -> None:
    """A final result ends it."""
    vendor.answer("result", send(with_status("CANCELLED")))
    ended = await _call(gateway, "WatchCallRequestResult", RESULT_ID)
    assert ended.returncode == 0
    assert "CALL_REQUEST_STATUS_CANCELLED" in ended.stdout


async def test_an_error_is_decoded_on_stderr(gateway: Gateway, vendor: ScriptedVendor) -> None:
    """Its details are readable, those of the contract, too."""
    vendor.answer("cancel", send(failed("CANCELLATION_NOT_ALLOWED")))
    vendor.answer("result", send(with_status("COMPLETED")))
    ended = await _call(gateway, "CancelCallRequest", RESULT_ID)
    error = json.loads(ended.stderr)
    assert (ended.returncode, ended.stdout, error["code"]) == (1, "", "FAILED_PRECONDITION")
    assert "CANCELLATION_NOT_ALLOWED" in [detail.get("reason") for detail in error["details"]]
    assert "CANCELLATION_REJECTION_REASON_CALL_COMPLETED" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(("Get", RESULT_ID), "no method Get; there are GetCallRequestResult", id="no-method"),
        pytest.param(("GetCallRequestResult", '{"id": 1}'), "no GetCallRequestResultRequest in JSON", id="no-field"),
        pytest.param(("GetCallRequestResult", "{"), "no GetCallRequestResultRequest in JSON", id="no-json"),
        pytest.param(
            ("--cacert", "/no/such", "GetCallRequestResult", RESULT_ID), "--cacert: cannot be read", id="no-ca"
        ),
        pytest.param(
            ("--cacert", __file__, "GetCallRequestResult", RESULT_ID), "--cacert: holds no certificates", id="no-pem"
        ),
        pytest.param(
            ("--cert", __file__, "--key", __file__, "GetCallRequestResult", RESULT_ID),
            "--cert, --key: need --cacert",
            id="certificate-in-plaintext",
        ),
        pytest.param(("--key", __file__, "GetCallRequestResult", RESULT_ID), "--cert, --key: set both", id="key-alone"),
    ],
)
async def test_a_request_that_cannot_be_sent_is_a_line_and_exit_code_2(
    gateway: Gateway, arguments: tuple[str, ...], expected: str
) -> None:
    """A line on stderr and exit code 2."""
    ended = await _call(gateway, *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(expected)


async def test_a_gateway_that_asks_for_certificates_is_called_with_one(tmp_path: Path, vendor: ScriptedVendor) -> None:
    """The runbook's calls work with mutual TLS, too; a key of another certificate is named before anything is sent."""
    pki = Pki(tmp_path)
    certificate, key, trusted = tmp_path / "desk.pem", tmp_path / "desk.key", ("--cacert", str(pki.client_ca))
    pki.authority.issue(URI("spiffe://example.com/booking-desk")).write(certificate, key)
    other = tmp_path / "other.key"
    pki.authority.issue(DNS("other.example")).write(tmp_path / "other.pem", other)
    request = ("--name", "localhost", "GetCallRequestResult", RESULT_ID)
    async with started(vendor.url, **pki.settings()) as gateway:
        ended = await _call(gateway, *trusted, "--cert", str(certificate), "--key", str(key), *request)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert json.loads(ended.stdout)["callRequestResult"]["callRequestId"] == RESULT_ID
        ended = await _call(gateway, *trusted, *request)
        assert (ended.returncode, json.loads(ended.stderr)["code"]) == (1, "UNAVAILABLE")
        ended = await _call(gateway, *trusted, "--cert", str(certificate), "--key", str(other), *request)
        assert (ended.returncode, ended.stderr) == (2, "--cert, --key: the key is not that of the certificate\n")
