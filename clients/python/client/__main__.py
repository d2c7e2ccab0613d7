"""The command: python -m client [--aio] result | follow | cancel CALL_REQUEST_ID."""

import argparse
import asyncio
import sys

import grpc
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub

from .calls import cancel, cancel_aio, describe, describe_cancellation, describe_rejection, read, read_aio
from .channel import Gateway
from .decisions import Failure
from .following import follow, follow_aio


def main() -> None:
    """Prints what came of it; a failure goes to stderr with its decision, and the exit code is 1."""
    parser = argparse.ArgumentParser(prog="python -m client", description="Reads, follows or cancels a call request.")
    parser.add_argument("--aio", action="store_true", help="by grpc.aio, which prints the same")
    parser.add_argument("action", choices=("result", "follow", "cancel"))
    parser.add_argument("call_request_id")
    asked = parser.parse_args()
    cancelling = asked.action == "cancel"
    try:
        if asked.action == "follow":
            asyncio.run(_follow_aio(asked.call_request_id)) if asked.aio else _follow(asked.call_request_id)
        elif asked.aio:
            _print(asyncio.run(_ask_aio(asked.call_request_id, cancelling=cancelling)))
        else:
            _print(_ask(asked.call_request_id, cancelling=cancelling))
    except grpc.RpcError as error:
        sys.exit(_describe_failure(Failure.of(error), cancelling=cancelling))


def _print(answer: str) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def _follow(call_request_id: str) -> None:
    with Gateway.of_environment().channel() as channel:
        for result in follow(CallRequestServiceStub(channel), call_request_id):
            _print(describe(result))


async def _follow_aio(call_request_id: str) -> None:
    async with Gateway.of_environment().aio_channel() as channel:
        async for result in follow_aio(CallRequestServiceStub(channel), call_request_id):
            _print(describe(result))


def _ask(call_request_id: str, *, cancelling: bool) -> str:
    with Gateway.of_environment().channel() as channel:
        gateway = CallRequestServiceStub(channel)
        if cancelling:
            return describe_cancellation(cancel(gateway, call_request_id))
        return describe(read(gateway, call_request_id))


async def _ask_aio(call_request_id: str, *, cancelling: bool) -> str:
    async with Gateway.of_environment().aio_channel() as channel:
        gateway = CallRequestServiceStub(channel)
        if cancelling:
            return describe_cancellation(await cancel_aio(gateway, call_request_id))
        return describe(await read_aio(gateway, call_request_id))


def _describe_failure(failure: Failure, *, cancelling: bool) -> str:
    decision = failure.decide(cancelling=cancelling)
    lines = [f"{failure.code.name} {failure.reason}: {failure.text}", f"{decision.name}: {decision.value}"]
    if failure.retry_after is not None:
        lines.append(f"Not before {failure.retry_after.total_seconds():g} s have passed.")
    if failure.rejected is not None:
        lines.append(describe_rejection(failure.rejected))
    return "\n".join([*lines, *(f"{field}: {wrong}" for field, wrong in failure.violations)])


if __name__ == "__main__":
    main()
