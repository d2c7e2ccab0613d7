"""The wheel, built and installed into an empty environment: its command, its packages and its metadata."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import grpc
import pytest

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from server import __version__
from testkit.scripted_vendor import RESULT_ID
from testkit.server_process import ROOT, accepts, clean_environment, gateway_environment, serving
from tests.lacking import need_execution_in

UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone; a .pth file adds the dependencies of this one: no network is used."""
    folder = tmp_path_factory.mktemp("installed")
    need_execution_in(folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    command: list[str | Path] = [UV, "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*command, "--python", folder / "bin/python", wheel], check=True, env=clean_environment())
    (_site_packages(folder) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def _site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python3*/site-packages")
    return found


def test_the_command_is_installed(installed: Path) -> None:
    """`call-request-gateway --version` works from any folder."""
    command: list[str | Path] = [installed / "bin/call-request-gateway", "--version"]
    ended = subprocess.run(command, cwd=installed, capture_output=True, text=True, check=True, env=clean_environment())
    assert ended.stdout == f"call-request-gateway {__version__}\n"


def test_the_installed_command_has_a_doctor(installed: Path) -> None:
    """All is well without settings."""
    environment = gateway_environment() | {"PYTHONSAFEPATH": "1"}
    command: list[str | Path] = [installed / "bin/call-request-gateway", "doctor"]
    ended = subprocess.run(command, cwd=installed, capture_output=True, text=True, check=False, env=environment)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout


def test_the_installed_command_serves_with_its_sandbox(installed: Path, tmp_path: Path) -> None:
    """`serve` without settings plays the vendor itself, and the calls it prints can be pasted, without a checkout."""
    environment = gateway_environment(DRAIN_DELAY=0, GRACE=2) | {"PYTHONSAFEPATH": "1"}
    address = environment["GATEWAY_LISTEN"]
    port = int(address.rpartition(":")[2])
    command: list[str | Path] = [installed / "bin/call-request-gateway", "serve"]
    request = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    with (
        serving(command, environment, tmp_path / "log", lambda: accepts(port)),
        grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel,
    ):
        answer = CallRequestServiceStub(channel).GetCallRequestResult(request, timeout=10, wait_for_ready=True)
        printed = re.findall(r"^    (\S.*)$", (tmp_path / "log").read_text(), re.MULTILINE)
        pasted = subprocess.run(
            printed[0], shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
    assert "CALL_STATUS_SUCCESS" in pasted.stdout
    assert answer.call_request_result.call_request_id == RESULT_ID


def test_the_installed_command_serves_with_workers(installed: Path, tmp_path: Path) -> None:
    """The supervisor starts its workers by the name that the package has in the wheel."""
    environment = gateway_environment(DRAIN_DELAY=0, GRACE=2, WORKERS=2) | {"PYTHONSAFEPATH": "1"}
    address = environment["GATEWAY_LISTEN"]
    port = int(address.rpartition(":")[2])
    command: list[str | Path] = [installed / "bin/call-request-gateway", "serve"]
    call = [*command[:1], "call", "--address", address, "GetCallRequestResult", RESULT_ID]
    with serving(command, environment, tmp_path / "log", lambda: accepts(port)):
        called = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "CALL_STATUS_SUCCESS" in called.stdout, called.stderr


def test_nothing_of_a_common_name_is_installed(installed: Path) -> None:
    """In a shared site-packages folder `server` and `sandbox` could be anybody's: they stand below one name."""
    names = {path.name for path in _site_packages(installed).iterdir() if not path.name.startswith("_")}
    ours = {name for name in names if not re.search(r"\.dist-info$|\.pth$", name)}
    assert ours == {"call_request_gateway"}


def test_stubs_of_another_version_stand_beside_it_and_are_removed_again(installed: Path) -> None:
    """The gateway has those of its own version, whatever a program in the same environment has installed."""
    other = _site_packages(installed) / "callrequest"
    other.mkdir()
    (other / "__init__.py").write_text("raise ImportError('another version of the stubs')\n")
    shown = "import call_request_gateway.server.app, callrequest.v1 as stubs; print(stubs.__path__[0])"
    command: list[str | Path] = [installed / "bin/python", "-P", "-c", shown]
    for _ in ("beside it", "removed"):
        ended = subprocess.run(
            command, cwd=installed, capture_output=True, text=True, check=False, env=clean_environment()
        )
        assert ended.stdout.strip().endswith("/call_request_gateway/generated/callrequest/v1"), ended.stderr
        shutil.rmtree(other, ignore_errors=True)


def test_the_packages_are_typed_and_nothing_of_the_workshop_is_in_them(wheel: Path) -> None:
    """Type checkers read the annotations of each package; tests, tools and measurements stay in the repository."""
    names = ZipFile(wheel).namelist()
    for package in (
        "call_request_gateway/server",
        "call_request_gateway/sandbox",
        "call_request_gateway/generated/callrequest",
    ):
        assert f"{package}/py.typed" in names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"call_request_gateway"}


def test_the_metadata_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    """The description is read away from the repository: its links are absolute."""
    with ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    description = str(metadata.get_payload())
    assert "call-request-gateway serve" in description
    assert [link for link in re.findall(r"\]\(([^)]+)\)", description) if not link.startswith("https://")] == []


def test_the_checkout_has_the_wheels_package(tmp_path: Path) -> None:
    """In the development environment the command works as it is installed, too."""
    command: list[str | Path] = [Path(sys.executable).parent / "call-request-gateway", "--version"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert ended.stdout == f"call-request-gateway {__version__}\n"
