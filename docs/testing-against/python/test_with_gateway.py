"""Tests against a gateway of their own, whose vendor is the sandbox."""

import json
import os
import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest


class Gateway:
    """A gateway on free ports, with control of the sandbox behind it."""

    def __init__(self) -> None:
        self.address, ready, sandbox = (_free_address() for _ in range(3))
        self._sandbox = f"http://{sandbox}/sandbox"
        settings = {
            "GATEWAY_LISTEN": self.address,
            "GATEWAY_METRICS_LISTEN": ready,
            "GATEWAY_SANDBOX_LISTEN": sandbox,
            "GATEWAY_DEFAULT_MAX_AGE": "0",  # every read asks the sandbox, so that a change is seen at once
            "GATEWAY_FINAL_MAX_AGE": "0",
            "GATEWAY_DRAIN_DELAY": "0",
        }
        command = os.environ.get("GATEWAY_COMMAND", "call-request-gateway serve")
        self._process = subprocess.Popen(shlex.split(command), env=os.environ | settings)
        _wait_until_ready(f"http://{ready}/ready")

    def call_request(self, call_request_id: str, **fields: Any) -> None:
        """Makes a call request; its fields are in docs/sandbox.md."""
        self._tell("PUT", f"/call-requests/{call_request_id}", fields)

    def advance(self, seconds: float) -> None:
        """Moves the sandbox's clock, and with it every call request's life."""
        self._tell("POST", "/clock", {"advance": seconds})

    def fault(self, **fields: Any) -> None:
        """Has the vendor fail."""
        self._tell("POST", "/faults", fields)

    def reset(self) -> None:
        """Brings the sandbox back to its start."""
        self._tell("POST", "/reset", {})

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=35)

    def _tell(self, method: str, path: str, fields: dict[str, Any]) -> None:
        request = urllib.request.Request(self._sandbox + path, json.dumps(fields).encode(), method=method)
        urllib.request.urlopen(request, timeout=5).close()


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return f"127.0.0.1:{bound.getsockname()[1]}"


def _wait_until_ready(url: str) -> None:
    latest = time.monotonic() + 20
    while time.monotonic() < latest:
        with suppress(OSError):  # it does not listen yet, or answers 503
            urllib.request.urlopen(url, timeout=1).close()
            return
        time.sleep(0.05)
    raise TimeoutError(f"{url}: not ready after 20 s")


@pytest.fixture(scope="session")
def running() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    running.reset()
    return running


def test_the_result_follows_the_call(gateway: Gateway) -> None:
    gateway.call_request("hotelIsPhoned001", call_in=3600, call_takes=60)
    assert "CALL_REQUEST_STATUS_PENDING_TO_CALL" in read(gateway, "hotelIsPhoned001")
    gateway.advance(3600)
    assert "CALL_REQUEST_STATUS_IN_PROGRESS" in read(gateway, "hotelIsPhoned001")
    gateway.advance(60)
    assert "CALL_STATUS_SUCCESS" in read(gateway, "hotelIsPhoned001")


def test_an_outage_of_the_vendor_is_told(gateway: Gateway) -> None:
    gateway.call_request("hotelIsPhoned001", status="COMPLETED")
    gateway.fault(operation="result", fault="unavailable")
    assert "VENDOR_UNAVAILABLE" in read(gateway, "hotelIsPhoned001")


def read(gateway: Gateway, call_request_id: str) -> str:
    """Stands in for what you want to test, which calls the gateway by its stubs."""
    method = "callrequest.v1.CallRequestService/GetCallRequestResult"
    request = json.dumps({"call_request_id": call_request_id})
    ended = subprocess.run(
        ["grpcurl", "-plaintext", "-d", request, gateway.address, method], capture_output=True, text=True, check=False
    )
    return ended.stdout + ended.stderr
