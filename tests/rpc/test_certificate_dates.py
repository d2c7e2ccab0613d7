"""Certificates that end, and files that are broken: warned of in the log, seen in the metrics."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from server.observability.certificate_end import WARNING_DAYS
from server.rpc.certificates import Certificates
from testkit.certificate_authority import DNS, Pki, replace
from testkit.gateway import metrics_of, started
from testkit.logs import log_to_stdout
from testkit.scripted_vendor import ScriptedVendor

PAIR, CLIENT_CA = "GATEWAY_TLS_CERTIFICATE, GATEWAY_TLS_KEY", "GATEWAY_TLS_CLIENT_CA"
DAY = 86_400


class _Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class _Observer:
    def __init__(self) -> None:
        self.ends: dict[str, float] = {}
        self.reloads: list[bool] = []

    def certificates_end(self, settings: str, ends: float) -> None:
        self.ends[settings] = ends

    def files_reloaded(self, settings: str, *, success: bool) -> None:
        self.reloads.append(success)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def logged(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """Level and settings of the lines about certificates that end or have ended."""
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [(line["level"], line["settings"]) for line in lines if line["event"].startswith("a certificate")]


@pytest.mark.parametrize(
    ("days", "level"),
    [
        pytest.param(WARNING_DAYS + 2, None, id="in good time"),
        pytest.param(WARNING_DAYS - 1, "warning", id="soon"),
        pytest.param(-2, "error", id="ended"),
    ],
)
async def test_a_certificate_that_ends_is_warned_of_once_a_day(
    pki: Pki, days: float, level: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the start, and at a handshake a day later; the metrics have the moment."""
    log_to_stdout("info")
    clock, observer = _Clock(), _Observer()
    pki.authority.issue(DNS("localhost"), days=days).write(pki.certificate, pki.key)
    certificates = Certificates(pki.certificate, pki.key, None, observer, clock)
    expected = [] if level is None else [(level, PAIR)]
    assert logged(capsys) == expected
    assert observer.ends[PAIR] == pytest.approx(time.time() + days * DAY, abs=120)
    for _ in range(5):
        certificates.refresh()
    assert logged(capsys) == []
    clock.now += 1.1 * DAY
    certificates.refresh()
    assert logged(capsys) == expected


async def test_a_certificate_that_ends_within_the_day_is_logged_at_its_end(
    pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a day after it was warned of."""
    log_to_stdout("info")
    clock = _Clock()
    pki.authority.issue(DNS("localhost"), days=0.5).write(pki.certificate, pki.key)
    certificates = Certificates(pki.certificate, pki.key, None, None, clock)
    assert logged(capsys) == [("warning", PAIR)]
    clock.now += 0.6 * DAY
    certificates.refresh()
    certificates.refresh()
    assert logged(capsys) == [("error", PAIR)]


async def test_a_certificate_that_was_replaced_is_warned_of_no_more(
    pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dates are those of the files that hold."""
    log_to_stdout("info")
    clock, observer = _Clock(), _Observer()
    pki.authority.issue(DNS("localhost"), days=1).write(pki.certificate, pki.key)
    certificates = Certificates(pki.certificate, pki.key, pki.client_ca, observer, clock)
    assert logged(capsys) == [("warning", PAIR), ("warning", CLIENT_CA)]
    pki.authority.issue(DNS("localhost"), days=90).write(pki.certificate, pki.key)
    certificates.refresh()
    assert logged(capsys) == [("warning", CLIENT_CA)]
    assert observer.reloads == [True]
    replace(pki.certificate, b"")
    certificates.refresh()
    certificates.refresh()
    assert observer.reloads == [True, False]
    certificates.refresh(force=True)
    assert observer.reloads == [True, False, False]


async def test_broken_files_and_dates_are_in_the_metrics(vendor: ScriptedVendor, pki: Pki, tmp_path: Path) -> None:
    """From the start on; SIGHUP reads all files again, and says of a broken one that it still is."""
    callers = tmp_path / "callers.toml"
    good = f'[[caller]]\nname = "desk"\ntoken_sha256 = "{"0" * 64}"\nmay = []\n'
    callers.write_text(good)

    async def until(sample: str) -> None:
        async with asyncio.timeout(10):
            while sample not in await metrics_of(gateway):  # noqa: ASYNC110 (the file is looked at in a thread)
                await asyncio.sleep(0.1)

    async with started(vendor.url, callers=callers, **pki.settings()) as gateway:
        page = await metrics_of(gateway)
        for settings in ("GATEWAY_CALLERS", f"{PAIR}, {CLIENT_CA}"):
            assert f'file_reload_success{{settings="{settings}"}} 1.0' in page
            assert f'file_reload_success_timestamp_seconds{{settings="{settings}"}} 1' in page
            assert f'file_reloads_total{{outcome="broken",settings="{settings}"}} 0.0' in page
        for settings in (PAIR, CLIENT_CA):
            assert f'certificate_expiry_timestamp_seconds{{settings="{settings}"}} 1' in page
        callers.write_text("[[caller]")
        await until('file_reload_success{settings="GATEWAY_CALLERS"} 0.0')
        await until('file_reloads_total{outcome="broken",settings="GATEWAY_CALLERS"} 1.0')
        gateway.reload()
        await until('file_reloads_total{outcome="broken",settings="GATEWAY_CALLERS"} 2.0')
        callers.write_text(good)
        gateway.reload()
        await until('file_reload_success{settings="GATEWAY_CALLERS"} 1.0')


async def test_the_ends_of_certificates_for_the_vendor_and_for_senders_are_in_the_metrics(pki: Pki) -> None:
    """One that nobody replaces ends the calls to the vendor, or its pushes, as surely as the server's ends callers'."""
    files = pki.settings()
    async with (
        ScriptedVendor() as vendor,
        started(
            vendor.url,
            vendor_ca=files["tls_client_ca"],
            vendor_certificate=files["tls_certificate"],
            vendor_key=files["tls_key"],
            webhook_listen="127.0.0.1:0",
            webhook_allow_unsigned=True,
            webhook_tls_certificate=files["tls_certificate"],
            webhook_tls_key=files["tls_key"],
        ) as gateway,
    ):
        text = await metrics_of(gateway)
    for settings in ("VENDOR_CA", "VENDOR_CERTIFICATE, GATEWAY_VENDOR_KEY", "WEBHOOK_TLS_CERTIFICATE, GATEWAY_WEBHOOK"):
        assert f'certificate_expiry_timestamp_seconds{{settings="GATEWAY_{settings}' in text
