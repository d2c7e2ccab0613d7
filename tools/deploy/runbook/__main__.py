"""Runs each command of the runbook beside a gateway: python -m tools.deploy.runbook.

A command fails by its exit code, grep's is 1 when it finds nothing, and when it does not print what `SHOWN` has. The
gateway has files to read again, a certificate, a webhook and an engine behind Sentinel, and a call of it has failed;
its log has its own lines, one for each call and cancel that can end badly, and one for each text in the sources.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from server.cancelling.cancellation import SETTLED_BY
from server.observability.access_log import AccessLog
from server.observability.call_metrics import REASONS
from server.observability.settled_cancel import SettledCancel
from testkit.certificate_authority import Pki
from testkit.gateway_process import serving
from testkit.http2_connection import connected
from testkit.sentinels import NAME, sentinels
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor
from tools.contract import ROOT

from .page import adapted, sections
from .shown import SHOWN
from .valkey_cli import install

ID = "reasonNotFound01"
MAX_SECONDS = 60.0


class Lines:
    """The lines that an access log makes."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, make: Callable[..., str], *parts: Any) -> None:
        """Takes a line."""
        self.text += make(*parts)


def log() -> str:
    """A log in which everything has happened once."""
    lines = Lines()
    access = AccessLog("info", lines)
    for reason in REASONS:
        access.ended("GetCallRequestResult", "INTERNAL", reason, 0.01, ID, "billing", probe=False)
    for settled_by in SETTLED_BY:
        settled = SettledCancel(ID, settled_by, None, "CANCELLATION_OUTCOME_UNKNOWN", 1, 3, 2.0, 0)
        access.cancel_settled(settled)
    return lines.text + "".join(f'{{"event":"{text}"}}\n' for text in sorted(set(_texts())))


def _texts() -> Iterator[str]:
    for path in (ROOT / "server").rglob("*.py"):
        yield from re.findall(r'"([^"\n\\{}]+)"', path.read_text())


async def run(command: str, shown: str, folder: Path, environment: dict[str, str]) -> str:
    """Runs a command in a shell. shown: what it must print, a regular expression. Returns why it failed; empty: not."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-o",
        "pipefail",
        "-c",
        command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(MAX_SECONDS):
        output, _ = await process.communicate()
    text = output.decode()
    if process.returncode:
        return f"exit code {process.returncode}: {text[-1500:]}"
    return "" if re.search(shown, text, re.MULTILINE) else f"it does not print {shown}: {text[-1500:] or 'nothing'}"


async def check() -> int:
    """Runs each command once, and returns how many failed."""
    commands = dict.fromkeys(command for section in sections() for command in section.commands)
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="runbook-") as name:
        folder = Path(name)
        secrets = folder / "secrets"
        secrets.mkdir(0o700)
        for setting, value in (("id", "client"), ("secret", "secret")):
            path = secrets / f"gateway_vendor_client_{setting}"
            path.write_text(value)
            path.chmod(0o600)
        pki = Pki(folder)
        pki.authority.issue(days=90).write(pki.certificate, pki.key)
        pki.key.chmod(0o600)
        settings: dict[str, Any] = {
            "SECRETS_DIR": secrets,
            "VENDOR_CLIENT_ID": "",
            "VENDOR_CLIENT_SECRET": "",
            "WEBHOOK_LISTEN": f"127.0.0.1:{port}",
            "WEBHOOK_TOKENS": "a-token-that-is-known",
            "WEBHOOK_TLS_CERTIFICATE": pki.certificate,
            "WEBHOOK_TLS_KEY": pki.key,
        }
        install(folder)
        async with AsyncExitStack() as stack:
            servers = await asyncio.to_thread(stack.enter_context, sentinels())
            vendor = await stack.enter_async_context(Vendor())
            gateway = await stack.enter_async_context(serving(vendor.url, STATE_URL=servers.url, **settings))
            async with connected(gateway.port) as client:
                await client.read("../etc/passwd", 5)
            await gateway.until(lambda: gateway.logged("shared state is up"))
            own = [json.dumps(line, separators=(",", ":")) + "\n" for line in gateway.log()]
            (folder / "gateway.log").write_text(log() + "".join(own))
            environment = gateway.environment | {
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(folder), os.environ["PATH"]]),
                "PID": str(gateway.process.pid),
                "SENTINEL": "127.0.0.1",
                "SERVICE": NAME,
            }
            failures = 0
            for command in commands:
                here = adapted(command, environment["GATEWAY_METRICS_LISTEN"], servers.sentinels[0].port)
                failure = await run(here, SHOWN[command], folder, environment)
                failures += bool(failure)
                print(f"{'FAILED' if failure else 'ok':7} {command}")
                if failure:
                    print(failure)
            if not gateway.runs:
                failures += 1
                print("FAILED the gateway has ended")
    print(f"{len(commands)} commands, {failures} failed")
    return failures


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(check()) else 0)
