"""An operator who knows: does the right thing for each event as soon as its alert fires, to try the stage."""

from collections.abc import Awaitable, Callable

from testkit.certificate_authority import replace

from . import events
from .control import Control
from .installation import Installation

Act = Callable[[Installation, Control], Awaitable[object]]


async def _tell_vendor(site: Installation, control: Control) -> None:
    await control.carry_out(["tell-vendor", "You refuse connections."])


async def _limit_reports(site: Installation, control: Control) -> None:
    before = site.callers_file.read_bytes()
    replace(site.callers_file, before.replace(b'name = "reports"\n', b'name = "reports"\nmax_per_second = 1\n'))


async def _renew(site: Installation, control: Control) -> None:
    await control.carry_out(["renew-certificate"])


async def _start_engine(site: Installation, control: Control) -> None:
    for number, engine in enumerate(site.servers.engines, 1):
        if not engine.runs:
            await control.carry_out(["start-engine", str(number)])


async def _start_replica(site: Installation, control: Control) -> None:
    for replica in site.replicas:
        await control.carry_out(["start-replica", str(replica.number)])


async def _put_secret(site: Installation, control: Control) -> None:
    site.put_secret(await control.carry_out(["vault"]))


async def _correct_callers(site: Installation, control: Control) -> None:
    replace(site.callers_file, site.callers_file.read_bytes().replace(b'"night-audit\n', b'"night-audit"\n'))


ACTS: dict[type[events.Event], Act] = {
    events.VendorDies: _tell_vendor,
    events.VendorLimps: _limit_reports,
    events.CertificateEnds: _renew,
    events.EngineFailsOver: _start_engine,
    events.ReplicaIsKilled: _start_replica,
    events.SecretIsRotated: _put_secret,
    events.CallersFileIsBroken: _correct_callers,
}
"""The right action for every event."""
