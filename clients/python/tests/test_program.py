"""The command, as README.md shows it."""

import os
import subprocess
import sys

import pytest

from client.channel import Gateway

from .sandbox import Sandbox


@pytest.fixture(params=[(), ("--aio",)], ids=["blocking", "aio"])
def way(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


def run(gateway: Gateway, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command in an environment that names the gateway and nothing else of ours."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALL_REQUEST_")}
    environment["CALL_REQUEST_GATEWAY"] = gateway.address
    command = [sys.executable, "-m", "client", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_prints_a_result(gateway: Gateway, way: tuple[str, ...]) -> None:
    """The outcome goes to stdout."""
    ended = run(gateway, *way, "result", "77b2c4d5e6f7g890")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "The hotel was phoned.\nCALL_TYPE_AUTHORIZATION_VERIFICATION: verified.\n"


def test_follows_a_result(gateway: Gateway, sandbox: Sandbox, way: tuple[str, ...]) -> None:
    """Each change is a line on stdout, and the program ends with the last one."""
    sandbox.make("followByProgram1", call_in=1.5, call_takes=1.5)
    ended = run(gateway, *way, "follow", "followByProgram1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "The hotel is not phoned yet.",
        "The hotel is being phoned.",
        "The hotel was phoned.",
        "CALL_TYPE_BOOKING_VERIFICATION: verified.",
    ]


def test_cancels(gateway: Gateway, sandbox: Sandbox, way: tuple[str, ...]) -> None:
    """So does what a cancel did."""
    assert run(gateway, *way, "cancel", "66a1b2c3d4e5f678").stdout == "It is cancelled.\n"
    assert run(gateway, *way, "cancel", "66a1b2c3d4e5f678").stdout == "It had been cancelled before.\n"


def test_tells_the_decision(gateway: Gateway, way: tuple[str, ...]) -> None:
    """A failure goes to stderr with its decision and its details; the exit code is 1."""
    ended = run(gateway, *way, "cancel", "cancelCheckedIn1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        "FAILED_PRECONDITION CANCELLATION_NOT_ALLOWED: The call request cannot be cancelled any more.",
        "READ_RESULT: Read the result: it shows what became of the call request.",
        "The check-in is past.",
    ]
