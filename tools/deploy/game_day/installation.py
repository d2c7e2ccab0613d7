"""What an operator looks after: two replicas, their shared state behind Sentinel, a vendor, callers, a Prometheus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import yaml

from testkit.certificate_authority import replace
from testkit.sentinels import Servers, sentinels
from testkit.server_process import free_ports
from tools.contract import ROOT
from tools.deploy.alerts.rules import RULES, faster
from tools.deploy.firing.prometheus import Prometheus, scraping

from .callers import Callers, callers_file
from .replica import Replica
from .vendor import NightVendor, VendorsPki

JOB = "call-request-gateway"
FACTOR = 20
"""Each time in the rules is divided by it."""
DAY = 30.0
"""Seconds of what the rules hold for a day of a certificate."""
DOWN_AFTER = 12.0
"""Seconds after which the sentinels hold a master for down."""
STATE_KEYS = "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4="
MAX_START = 60.0


class Installation:
    """All parts, while `running` runs them. folder: what the operator may look at; theirs: what is hidden."""

    def __init__(self, folder: Path, theirs: Path, servers: Servers) -> None:
        self.folder = folder
        self.servers = servers
        self.callers_file, self.secrets = folder / "callers.toml", folder / "secrets"
        replace(self.callers_file, callers_file().encode())
        self.secrets.mkdir(0o700)
        certificates = folder / "vendor-tls"
        certificates.mkdir()
        self.pki = VendorsPki(certificates, theirs)
        self.vendor = NightVendor(self.pki.tls)
        self.put_secret(self.vendor.secret)
        replace(self.secrets / "gateway_vendor_client_id", b"client\n")
        self.vendor_is_told = asyncio.Event()
        self.replicas: list[Replica] = []
        self.callers: Callers
        self.prometheus: Prometheus

    def put_secret(self, secret: str) -> None:
        """Replaces the file of the vendor's secret."""
        replace(self.secrets / "gateway_vendor_client_secret", f"{secret}\n".encode())

    def add_replicas(self) -> None:
        """Adds two replicas, which do not run yet. The vendor must listen."""
        ports = free_ports(4)
        shared: dict[str, object] = {
            "VENDOR_URL": self.vendor.url,
            "VENDOR_CA": self.pki.ca,
            "VENDOR_CERTIFICATE": self.pki.certificate,
            "VENDOR_KEY": self.pki.key,
            "VENDOR_MAX_CONNECTION_AGE": 15,
            "VENDOR_TIMEOUT": 2,
            "SECRETS_DIR": self.secrets,
            "CALLERS": self.callers_file,
            "STATE_URL": self.servers.url,
            "STATE_KEYS": STATE_KEYS,
            "WATCH_PENDING_INTERVAL": 5,
            "DRAIN_DELAY": 1,
            "GRACE": 10,
            "LOG_FORMAT": "json",
        }
        for number in (1, 2):
            own = {"LISTEN": f"127.0.0.1:{ports.pop()}", "METRICS_LISTEN": f"127.0.0.1:{ports.pop()}"}
            self.replicas.append(Replica(number, self.folder / f"replica-{number}", shared | own))

    async def until_ready(self) -> None:
        """Waits until both replicas serve. Raises TimeoutError."""
        async with asyncio.timeout(MAX_START):
            while not all([await each.is_ready() for each in self.replicas]):  # noqa: ASYNC110 (processes raise no event)
                await asyncio.sleep(0.2)


def _rules() -> str:
    groups = yaml.safe_load((ROOT / RULES).read_text())["groups"]
    return yaml.safe_dump({"groups": faster(groups, FACTOR, DAY)})


@asynccontextmanager
async def running(folder: Path, theirs: Path) -> AsyncIterator[Installation]:
    """Runs an installation until the block is left. folder, theirs: empty folders."""
    async with AsyncExitStack() as stack:
        servers = await asyncio.to_thread(stack.enter_context, sentinels(DOWN_AFTER))
        site = Installation(folder, theirs, servers)
        await stack.enter_async_context(site.vendor)
        site.add_replicas()
        for each in site.replicas:
            stack.callback(each.stop)
            each.start()
        await site.until_ready()
        site.callers = Callers([each.target for each in site.replicas])
        await stack.enter_async_context(site.callers.calling())
        rules = folder / "rules.yaml"
        rules.write_text(_rules())
        targets = [each.metrics for each in site.replicas]
        site.prometheus = await stack.enter_async_context(scraping({JOB: targets}, rules, theirs))
        yield site
