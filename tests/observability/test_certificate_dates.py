"""Certificates towards others that end: warned of at the start, when they are read again, daily, and at the end."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from server.observability.certificate_dates import CertificateDates
from server.observability.certificate_end import DAY, WARNING_DAYS
from testkit import virtual_time
from testkit.certificate_authority import Authority
from testkit.gateway import started
from testkit.logs import log_to_stdout
from testkit.scripted_vendor import ScriptedVendor

SETTINGS = "GATEWAY_VENDOR_CERTIFICATE, GATEWAY_VENDOR_KEY"


def logged(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str]]:
    """Level, event and settings of the lines about certificates."""
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [
        (line["level"], line["event"], line["settings"]) for line in lines if line["event"].startswith("a certificate")
    ]


def issued(folder: Path, days: float) -> Path:
    """A certificate that ends in so many days."""
    Authority().issue(days=days).write(folder / "client.pem", folder / "client.key")
    return folder / "client.pem"


def test_one_that_ends_is_warned_of_daily_and_at_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody asks for it meanwhile: there is no handshake of ours with it as long as connections last."""
    log_to_stdout("info")
    path = issued(tmp_path, 2.5)

    async def for_some_days() -> list[tuple[str, str]]:
        loop, begun = asyncio.get_running_loop(), time.time()
        offset = begun - loop.time()
        ends: dict[str, float] = {}
        dates = CertificateDates(ends.__setitem__, lambda: loop.time() + offset)
        dates.note({SETTINGS: path, "GATEWAY_VENDOR_CA": None})
        assert set(ends) == {SETTINGS}
        found = []
        for _ in range(4):
            found += [(level, event) for level, event, _ in logged(capsys)]
            await asyncio.sleep(DAY)
        dates.close()
        logged(capsys)
        await asyncio.sleep(2 * DAY)
        assert logged(capsys) == []
        return found

    warned, ended = ("warning", "a certificate ends soon"), ("error", "a certificate has ended")
    assert virtual_time.run(for_some_days()) == [warned, warned, warned, ended]


def test_one_that_is_replaced_is_warned_of_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its dates are those of the file that holds."""
    log_to_stdout("info")

    async def replaced() -> None:
        loop = asyncio.get_running_loop()
        offset = time.time() - loop.time()
        dates = CertificateDates(lambda settings, ends: None, lambda: loop.time() + offset)
        dates.note({SETTINGS: issued(tmp_path, 1)})
        assert len(logged(capsys)) == 1
        dates.note({SETTINGS: issued(tmp_path, WARNING_DAYS + 30)})
        await asyncio.sleep(5 * DAY)
        dates.close()

    virtual_time.run(replaced())
    assert logged(capsys) == []


async def test_a_gateway_warns_of_our_certificate_for_the_vendor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At its start, and at SIGHUP, which reads it again."""
    log_to_stdout("info")
    path = issued(tmp_path, 3)
    files = {"vendor_certificate": path, "vendor_key": path.with_suffix(".key")}
    async with ScriptedVendor() as vendor, started(vendor.url, **files) as gateway:
        log_to_stdout("info")
        found = logged(capsys)
        gateway.reload()
        async with asyncio.timeout(10):
            while len(found) < 2:
                found += logged(capsys)
                await asyncio.sleep(0.05)
    assert found == 2 * [("warning", "a certificate ends soon", SETTINGS)]
