"""Ports, and a folder for workers. The limit of open files is tested with the command."""

import socket
from pathlib import Path

import pytest

from server.doctor.machine import check_ports, check_workers_folder
from testkit.gateway import settings_for, started
from testkit.server_process import free_ports

from .findings import text_of


async def test_free_ports_are_listed_and_stay_free() -> None:
    """The sandbox's is needed only without a vendor, the metrics' unless it is off."""
    settings = settings_for("http://127.0.0.1:1", metrics_listen="")
    assert text_of(await check_ports(settings), "ports", "ok") == "free: 127.0.0.1:0"


@pytest.mark.parametrize("name", ["listen", "metrics_listen", "webhook_listen", "sandbox_listen"])
async def test_a_port_that_another_program_holds_fails_its_check(name: str) -> None:
    """By anything but the gateway of these settings."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        usual = {"listen": f"127.0.0.1:{free_ports(1)[0]}"}
        findings = await check_ports(settings_for(None, **(usual | {name: address})))
    assert (
        text_of(findings, "ports", "failed")
        == f"GATEWAY_{name.upper()}: cannot listen on {address}; is the port taken? 127.0.0.1:0 takes a free one"
    )


async def test_a_host_that_is_not_this_machines_fails_its_check() -> None:
    """The name cannot be resolved, or the address is another machine's."""
    findings = await check_ports(settings_for(None, metrics_listen="no.invalid:1"))
    assert "the host cannot be resolved" in text_of(findings, "ports", "failed")
    findings = await check_ports(settings_for(None, metrics_listen="192.0.2.1:1"))
    assert "GATEWAY_METRICS_LISTEN: cannot listen on 192.0.2.1:1" in text_of(findings, "ports", "failed")


async def test_ports_of_the_gateway_itself_are_well() -> None:
    """An operator asks beside a running gateway, too."""
    async with started(None) as gateway:
        settings = settings_for(None, listen=str(gateway.address), metrics_listen=str(gateway.metrics_address))
        assert "in use by the gateway" in text_of(await check_ports(settings), "ports", "ok")


def test_several_workers_need_a_folder_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    """It is needed with several workers only, and nothing is left in it."""
    assert text_of(check_workers_folder(settings_for(None)), "workers' folder", "skipped")
    several = settings_for(None, workers=2)
    assert text_of(check_workers_folder(several, str(tmp_path)), "workers' folder", "ok")
    assert list(tmp_path.iterdir()) == []
    text = text_of(check_workers_folder(several, str(tmp_path / "absent")), "workers' folder", "failed")
    assert "GATEWAY_WORKERS: more than 1 need a folder to write to" in text
