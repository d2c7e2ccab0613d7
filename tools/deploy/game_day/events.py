"""What may happen in a night. Of each: how it begins, what shows that the right thing was done, how it ends without."""

import asyncio
import datetime as dt
import random
import re
import time

from cryptography import x509

from testkit.certificate_authority import replace

from .installation import Installation

CERTIFICATE_SECONDS = 75.0
LIMIT = 25.0
"""Requests a second that a limping vendor takes."""
QUIET_SECONDS = 12.0
"""Without a 429: the vendor has no more to refuse."""


class Event:
    """alerts: one of them is about it. named: words, as regular expressions, all of which its name in an answer has."""

    name: str
    alerts: frozenset[str]
    named: tuple[str, ...]
    right: str
    """The action that ends it."""
    afterwards = ""
    """What is still to be done on the next day, when it has been ended."""

    def __init__(self, site: Installation, chance: random.Random) -> None:
        self.site = site
        self.chance = chance

    async def begin(self) -> None:
        """Causes it."""
        raise NotImplementedError

    async def is_mended(self) -> bool:
        """Whether what the operator did ends it."""
        raise NotImplementedError

    async def end(self) -> None:
        """Ends it, as a colleague would in the morning; nothing to do when it is mended."""
        raise NotImplementedError

    @classmethod
    def is_named_in(cls, cause: str) -> bool:
        """Whether these words name it."""
        return all(re.search(each, cause, re.IGNORECASE) for each in cls.named)


class VendorDies(Event):
    """Its port refuses connections. The vendor mends it once somebody tells it."""

    name = "the vendor dies"
    alerts = frozenset({"GatewayVendorUnavailable"})
    named = ("vendor", r"down|dead|die|died|gone|refus|unreachable|outage|unavailable|not listening|stopped|crash")
    right = "the vendor is told"

    async def begin(self) -> None:
        self.site.vendor_is_told.clear()
        await self.site.vendor.leave()

    async def is_mended(self) -> bool:
        return self.site.vendor_is_told.is_set()

    async def end(self) -> None:
        await self.site.vendor.listen(self.site.vendor.port)


class VendorLimps(Event):
    """It takes few requests a second, while reports reads what it missed."""

    name = "the vendor limits the rate (429)"
    alerts = frozenset({"GatewayVendorRateLimits", "GatewayVendorRateLimitsMany"})
    named = (r"429|rate.?limit|limits?\b.*rate|throttl|too many|greedy|backlog|reports",)
    right = "reports gets a max_per_second, or all replicas a bound of requests to the vendor"
    afterwards = "the limit that was set is removed, or one is agreed on with the team of reports"

    async def begin(self) -> None:
        self.site.vendor.limit = LIMIT
        self.site.vendor.refused.clear()
        self.site.callers.greedy.set()
        self.begun = time.monotonic()

    async def is_mended(self) -> bool:
        latest = max([self.begun, *self.site.vendor.refused])
        up = [await each.is_ready() for each in self.site.replicas]
        return bool(self.site.vendor.refused) and all(up) and time.monotonic() - latest > QUIET_SECONDS

    async def end(self) -> None:
        self.site.vendor.limit = None
        self.site.callers.greedy.clear()


class CertificateEnds(Event):
    """Our certificate for the vendor is replaced by one that ends in a minute, as a wrong profile of a CA issues it."""

    name = "our certificate for the vendor ends"
    alerts = frozenset({"GatewayCertificateEnds", "GatewayCertificateEndsSoon"})
    named = (r"cert", r"end|expir|renew|valid|old")
    right = "the certificate is renewed"

    async def begin(self) -> None:
        self.site.pki.renew(CERTIFICATE_SECONDS)

    async def is_mended(self) -> bool:
        certificate = x509.load_pem_x509_certificate(self.site.pki.certificate.read_bytes())
        return certificate.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=1)

    async def end(self) -> None:
        if not await self.is_mended():
            self.site.pki.renew()


class EngineFailsOver(Event):
    """The master of the shared state is gone. Sentinel makes another one; the first stays away until it is started."""

    name = "the engine fails over"
    alerts = frozenset({"GatewayStateDown", "GatewayStateInterrupted"})
    named = (r"engine|valkey|redis|state|sentinel|master", r"fail|over|down|dead|kill|gone|lost|crash|stop|master")
    right = "the server that is gone is started again"

    async def begin(self) -> None:
        self.gone = self.site.servers.master or self.site.servers.engines[0]
        await asyncio.to_thread(self.gone.kill)

    async def is_mended(self) -> bool:
        return self.gone.runs and self.site.servers.master is not None

    async def end(self) -> None:
        if not self.gone.runs:
            await asyncio.to_thread(self.gone.start)


class ReplicaIsKilled(Event):
    """A process ends without a word."""

    name = "a replica is killed"
    alerts = frozenset({"GatewayInstanceDown"})
    named = (r"replica|instance|gateway|process", r"kill|down|dead|die|died|gone|crash|ended|stopped|not run")
    right = "the replica is started"

    async def begin(self) -> None:
        self.killed = self.chance.choice(self.site.replicas)
        self.killed.kill()

    async def is_mended(self) -> bool:
        return await self.killed.is_ready()

    async def end(self) -> None:
        self.killed.start()


class SecretIsRotated(Event):
    """The vendor knows only a new secret of ours, which is in the vault; no token is valid."""

    name = "the vendor's secret was rotated"
    alerts = frozenset({"GatewayVendorRejectsCredentials"})
    named = (r"secret|credential|password|client.?id", r"rotat|chang|reject|refus|old|wrong|new|invalid|stale")
    right = "the new secret is in its file"

    async def begin(self) -> None:
        self.site.vendor.rotate_secret()
        self.fetches = self.site.vendor.fetches

    async def is_mended(self) -> bool:
        return self.site.vendor.fetches > self.fetches

    async def end(self) -> None:
        self.site.put_secret(self.site.vendor.secret)


class CallersFileIsBroken(Event):
    """A colleague adds a caller, and forgets a quotation mark."""

    name = "the callers' file is broken"
    alerts = frozenset({"GatewayFilesBroken"})
    named = (r"caller|file|toml", r"broken|mistake|syntax|invalid|quot|malform|wrong|pars|typo|unterminated")
    right = "the file is correct again"

    async def begin(self) -> None:
        self.before = self.site.callers_file.read_bytes()
        added = b'\n[[caller]]\nname = "night-audit\ntoken_sha256 = "' + b"5e" * 32 + b'"\nmay = ["read"]\n'
        replace(self.site.callers_file, self.before + added)

    async def is_mended(self) -> bool:
        pages = [await each.scrape() for each in self.site.replicas]
        is_as_it_was_broken = b'"night-audit\n' in self.site.callers_file.read_bytes()
        return not is_as_it_was_broken and all(
            'file_reload_success{settings="GATEWAY_CALLERS"} 1' in page for page in pages
        )

    async def end(self) -> None:
        if not await self.is_mended():
            replace(self.site.callers_file, self.before)


BLOCKS: tuple[tuple[type[Event], ...], ...] = (
    (VendorDies, VendorLimps),
    (CertificateEnds,),
    (EngineFailsOver,),
    (ReplicaIsKilled,),
)
"""What happens in each night, in any order; within a block in this one."""
MORE: tuple[type[Event], ...] = (SecretIsRotated, CallersFileIsBroken)
"""One of these happens, too."""


def drawn(chance: random.Random) -> list[type[Event]]:
    """The events of a night, in order."""
    blocks = [*BLOCKS, (chance.choice(MORE),)]
    chance.shuffle(blocks)
    return [event for block in blocks for event in block]
