"""The gateway under load: one that is started here as a user would start it, or one that runs elsewhere."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testkit.server_process import SERVE, free_ports, serving

from .plain_http import NoAnswerError, ask
from .usage import UsageSource


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway: its address, its sources of usage, and the address of the sandbox behind it, if there is one."""

    address: str
    usage_source: UsageSource
    sandbox: str | None


@contextmanager
def started(log: Path, vendor_url: str | None, sandbox: str | None) -> Iterator[Target]:
    """Runs a gateway on loopback and free ports until the block is left. Raises DidNotStartError.

    vendor_url: the vendor, with the credentials in the environment; None: the embedded sandbox. sandbox: the address of
    a sandbox behind that vendor_url. All settings but those below are the user's own.
    """
    listen, metrics, embedded = (f"127.0.0.1:{port}" for port in free_ports(3))
    environment = os.environ | {
        "GATEWAY_LISTEN": listen,
        "GATEWAY_METRICS_LISTEN": metrics,
        "GATEWAY_SANDBOX_LISTEN": embedded,
        "GATEWAY_DRAIN_DELAY": "0",
        "GATEWAY_GRACE": "2",
        "GATEWAY_LOG_FORMAT": "json",
        # Empty is unset, wherever else it may be set: a vendor gets this load only when an option of this run asks.
        "GATEWAY_VENDOR_URL": vendor_url or "",
        "GATEWAY_ALLOW_SANDBOX": "true",  # although the environment may have credentials
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with serving(SERVE, environment, log, lambda: _is_ready(metrics)) as process:
        yield Target(listen, UsageSource(metrics, process.pid), embedded if vendor_url is None else sandbox)


def _is_ready(metrics: str) -> bool:
    try:
        ask(metrics, "/ready")
    except NoAnswerError:
        return False
    return True
