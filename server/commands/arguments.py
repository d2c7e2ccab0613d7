"""The arguments of the commands, and their help."""

import argparse
import sys
from pathlib import Path

from .. import __version__
from ..settings import Address, defaults, parse_address


def parse_arguments() -> argparse.Namespace:
    if sys.argv[1:2] == ["worker"]:  # started by serve, not by people: no help and no error names it
        return _parse_worker()
    parser = argparse.ArgumentParser(
        prog="call-request-gateway", description="A gRPC gateway to AI Voice call requests."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    serve = commands.add_parser(
        "serve",
        help="run the gateway; its settings are in the environment, GATEWAY_…",
        epilog="Settings, variables of the environment, with their defaults:\n\n" + defaults(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--workers", help="how many processes serve on the port, instead of GATEWAY_WORKERS")
    sandbox = commands.add_parser(
        "sandbox",
        help="run a vendor for tests",
        description="Plays the vendor over HTTP, with all its quirks and faults, for tests.",
        epilog="Seed data, there from the start:\n\n" + (_seed_data() if "sandbox" in sys.argv else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sandbox.add_argument("--listen", type=_address, default=parse_address("127.0.0.1:50080"), help="%(default)s")
    commands.add_parser("healthcheck", help="ask the gateway of these settings whether it serves; exit code 0 or 1")
    doctor = commands.add_parser("doctor", help="try what these settings need, step by step; exit code 0 or 1")
    doctor.add_argument("--failed", action="store_true", help="only what failed, and how many did not")
    doctor.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    _add_call(commands.add_parser("call", help="make one call of a gateway, for a first try; exit code 0 or 1"))
    return parser.parse_args()


def _add_call(call: argparse.ArgumentParser) -> None:
    call.add_argument("method", help="GetCallRequestResult, CancelCallRequest or another of the service's")
    call.add_argument("request", help="in JSON, or a call request id alone")
    call.add_argument("--address", type=_address, help="of the gateway; as GATEWAY_LISTEN has it, unless given")
    call.add_argument("--cacert", type=Path, help="PEM file of the server's CA, or its own certificate; else plaintext")
    call.add_argument("--cert", type=Path, help="PEM file of your certificate, where GATEWAY_TLS_CLIENT_CA is set")
    call.add_argument("--key", type=Path, help="PEM file of its key")
    call.add_argument("--name", help="what the server's certificate is valid for, if that is not the address")
    call.add_argument("--token", help="a bearer token; other users of this machine can see it in the list of processes")


def _parse_worker() -> argparse.Namespace:
    worker = argparse.ArgumentParser()
    worker.add_argument("command")
    worker.add_argument("--workers", required=True)
    worker.add_argument("--slot", type=int, required=True)
    worker.add_argument("--control", type=int, required=True)
    worker.add_argument("--listen", required=True)
    worker.add_argument("--metrics", required=True)
    worker.add_argument("--lock", type=int, required=True)
    worker.add_argument("--sandbox")
    worker.add_argument("--state")
    return worker.parse_args()


def _seed_data() -> str:
    from ..process.embedded_sandbox import sandbox_package

    described: str = sandbox_package().describe_seed_data()
    return described


def _address(value: str) -> Address:
    try:
        return parse_address(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
