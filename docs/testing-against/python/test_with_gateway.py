"""Tests against a gateway of their own, whose vendor is the sandbox."""

import json
import os
import random
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest


class Gateway:
    """A gateway on free ports, with control of the sandbox behind it."""

    def __init__(self) -> None:
        self.address, ready, sandbox, webhook = (_free_address() for _ in range(4))
        self._sandbox = f"http://{sandbox}/sandbox"
        self.webhook = {"url": f"http://{webhook}/webhooks/call-request-completed", "token": "a-token-of-the-vendor"}
        settings = {
            "GATEWAY_LISTEN": self.address,
            "GATEWAY_METRICS_LISTEN": ready,
            "GATEWAY_SANDBOX_LISTEN": sandbox,
            "GATEWAY_DEFAULT_MAX_AGE": "0",  # every read asks the sandbox, so that a change is seen at once
            "GATEWAY_FINAL_MAX_AGE": "0",
            "GATEWAY_DRAIN_DELAY": "0",
            "GATEWAY_WATCH_PENDING_INTERVAL": "0.2",  # so soon a watcher sees it
            "GATEWAY_WATCH_IN_PROGRESS_INTERVAL": "0.2",
            "GATEWAY_WEBHOOK_LISTEN": webhook,
            "GATEWAY_WEBHOOK_TOKENS": "a-token-of-the-vendor",
        }
        command = os.environ.get("GATEWAY_COMMAND", "call-request-gateway serve")
        self._process = subprocess.Popen(shlex.split(command), env=os.environ | settings)
        self._wait_until_ready(f"http://{ready}/ready")

    def call_request(self, call_request_id: str, **fields: Any) -> None:
        """Makes a call request; its fields are in docs/sandbox.md."""
        self._ask("PUT", f"/call-requests/{call_request_id}", fields)

    def advance(self, seconds: float) -> None:
        """Moves the sandbox's clock, and with it every call request's life."""
        self._ask("POST", "/clock", {"advance": seconds})

    def fault(self, **fields: Any) -> None:
        """Has the vendor fail."""
        self._ask("POST", "/faults", fields)

    def reset(self) -> None:
        """Brings the sandbox back to its start."""
        self._ask("POST", "/reset", {})

    def pushed(self, call_request_id: str) -> list[int]:
        """The HTTP statuses that the webhook has answered pushes about it with."""
        return [push["status"] for push in self._ask("GET", "/pushes")["pushes"] if push["id"] == call_request_id]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=35)

    def _wait_until_ready(self, url: str) -> None:
        latest = time.monotonic() + 20
        while self._process.poll() is None and time.monotonic() < latest:
            with suppress(OSError):  # it does not listen yet, or answers 503
                urllib.request.urlopen(url, timeout=1).close()
                return
            time.sleep(0.05)
        self._process.terminate()
        raise TimeoutError("the gateway ended, or was not ready after 20 s: stderr has why")

    def _ask(self, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
        body = None if fields is None else json.dumps(fields).encode()
        request = urllib.request.Request(self._sandbox + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode())  # which field is wrong
            raise


def _free_address() -> str:
    """None of the ports that the kernel assigns: another program could get it before the gateway does."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return f"127.0.0.1:{port}"


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


def test_a_watcher_sees_the_call_begin_and_end(gateway: Gateway) -> None:
    gateway.call_request("hotelIsPhoned001", call_in=3600, call_takes=60)
    with subprocess.Popen(call(gateway, "WatchCallRequestResult", "hotelIsPhoned001"), stdout=subprocess.PIPE) as watch:
        assert watch.stdout
        until(watch.stdout, "CALL_REQUEST_STATUS_PENDING_TO_CALL")
        gateway.advance(3600)
        until(watch.stdout, "CALL_REQUEST_STATUS_IN_PROGRESS")
        gateway.advance(60)
        until(watch.stdout, "CALL_STATUS_SUCCESS")
    assert watch.returncode == 0  # a final result ends it


def test_the_vendor_pushes_the_result(gateway: Gateway) -> None:
    gateway.call_request("resultIsPushed01", call_in=3600, call_takes=60, webhook=gateway.webhook)
    gateway.advance(3660)
    latest = time.monotonic() + 20
    while gateway.pushed("resultIsPushed01") != [202]:  # it was not signed: the gateway reads the result
        assert time.monotonic() < latest
        time.sleep(0.05)


def read(gateway: Gateway, call_request_id: str) -> str:
    """Stands in for what you want to test, which calls the gateway by its stubs."""
    command = call(gateway, "GetCallRequestResult", call_request_id)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr


def call(gateway: Gateway, method: str, call_request_id: str) -> list[str]:
    request = json.dumps({"call_request_id": call_request_id})
    service = "callrequest.v1.CallRequestService"
    return ["grpcurl", "-plaintext", "-max-time", "20", "-d", request, gateway.address, f"{service}/{method}"]


def until(lines: Iterable[bytes], text: str) -> None:
    """Reads what a watch prints, up to that text."""
    assert any(text.encode() in line for line in lines), text
