"""The contract held against its last release, and what is built from it for languages without a package of ours."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools import contract, stubs
from tools.contract import ROOT

RESULT, SERVICE = "call_request.proto", "call_request_service.proto"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The contract and its releases, free to be changed; today's is released as its version."""
    for folder in ("protos", "contract"):
        shutil.copytree(ROOT / folder, tmp_path / folder)

    for file in ("buf.yaml", "contract/VERSION"):
        shutil.copyfile(ROOT / file, tmp_path / file)
    (tmp_path / f"contract/released/callrequest-{contract.version()}.binpb").write_bytes(contract.descriptor_set())
    return tmp_path


def _change(copy: Path, proto: str, pattern: str, replacement: str) -> None:
    path = copy / "protos/callrequest/v1" / proto
    changed, times = re.subn(pattern, replacement, path.read_text(), count=1)
    assert times == 1
    path.write_text(changed)


def _grow(copy: Path, part: int) -> None:
    """Makes one number of the version greater: 1 the second, 2 the third."""
    numbers = [int(number) for number in contract.version(copy).split(".")]
    numbers[part] += 1
    (copy / "contract/VERSION").write_text(".".join(map(str, numbers)) + "\n")


def test_todays_contract_keeps_to_its_releases() -> None:
    """No caller of the last release is broken, and the version grew with the change: `make check`."""
    assert contract.problems() == []


def test_every_release_is_whole() -> None:
    """Each release can be compiled against as it is: with its imports, and with the comments that become its docs."""
    assert contract.releases()
    for path in contract.releases():
        files = {file.name: file for file in FileDescriptorSet.FromString(path.read_bytes()).file}
        assert all(needed in files for file in files.values() for needed in file.dependency)
        assert any(place.leading_comments for place in files[f"callrequest/v1/{SERVICE}"].source_code_info.location)


def test_the_descriptor_set_is_the_same_each_time(copy: Path) -> None:
    """Whoever builds it again, anywhere, gets the same bytes."""
    assert contract.descriptor_set(copy) == contract.descriptor_set() == contract.descriptor_set()


@pytest.mark.parametrize(
    ("proto", "pattern", "replacement", "complaint"),
    [
        pytest.param(RESULT, "outcome_summary = 5", "summary = 5", "changed name", id="field-renamed"),
        pytest.param(RESULT, "outcome_summary = 5", "outcome_summary = 55", '"5" with name', id="field-renumbered"),
        pytest.param(RESULT, "optional string fax = 3;", "", '"3" with name "fax"', id="field-deleted"),
        pytest.param(RESULT, "string call_request_id = 1", "bytes call_request_id = 1", "changed type", id="type"),
        pytest.param(RESULT, "optional string email", "repeated string email", "cardinality", id="became-repeated"),
        pytest.param(RESULT, "STATUS_REASON_CATEGORY_NO_ANSWER = 7;", "", "was deleted", id="enum-value-deleted"),
        pytest.param(RESULT, "ACTION_RESEND_PAYMENT = 2", "ACTION_PAY = 2", "changed name", id="enum-value-renamed"),
        pytest.param(SERVICE, "rpc CancelCallRequest", "rpc Cancel", "was deleted", id="rpc-renamed"),
        pytest.param(SERVICE, r"returns \(stream ", "returns (", "server", id="stream-became-unary"),
        pytest.param(SERVICE, 'java_package = "internal', 'java_package = "com', "java_package", id="java-package"),
    ],
)
def test_what_breaks_a_caller_is_refused(
    copy: Path, proto: str, pattern: str, replacement: str, complaint: str
) -> None:
    """Names, numbers and types that callers compiled against stay, whatever the version is."""
    _grow(copy, 1)
    _change(copy, proto, pattern, replacement)
    assert complaint in "\n".join(contract.problems(copy))


@pytest.mark.parametrize(
    ("proto", "pattern", "replacement"),
    [
        pytest.param(RESULT, "(?=// The outcome in detail)", "// More.\nstring more = 90;\n", id="field"),
        pytest.param(
            RESULT, "(?=// Nobody answered)", "// More.\nSTATUS_REASON_CATEGORY_MORE = 90;\n", id="enum-value"
        ),
        pytest.param(
            SERVICE,
            "(?=// Cancels a call request)",
            "// More.\nrpc More(CancelCallRequestRequest) returns (CancelCallRequestResponse);\n",
            id="rpc",
        ),
        pytest.param(
            RESULT, "optional string fax = 3;", "optional string fax = 3 [deprecated = true];", id="deprecated"
        ),
    ],
)
def test_what_is_added_needs_a_minor_version(copy: Path, proto: str, pattern: str, replacement: str) -> None:
    """Additions pass once the second number grew; with the third alone, or none, a caller could not see them."""
    _change(copy, proto, pattern, replacement)
    assert "make contract/VERSION greater" in contract.problems(copy)[0]
    _grow(copy, 2)
    assert "second number" in contract.problems(copy)[0]
    _grow(copy, 1)
    assert contract.problems(copy) == []


def test_a_comment_needs_a_patch_version(copy: Path) -> None:
    """What is published under a version stays as it was, comments included: they are the documentation."""
    _change(copy, RESULT, "// The reservation.", "// The reservation, once more.")
    assert "make contract/VERSION greater" in contract.problems(copy)[0]
    _grow(copy, 2)
    assert contract.problems(copy) == []


@pytest.mark.parametrize("called", ["0.9.0", "1.0.0-rc1"])
def test_a_version_does_not_go_back(copy: Path, called: str) -> None:
    """A version is three numbers, none smaller than the last release's."""
    (copy / "contract/VERSION").write_text(called)
    assert "contract/VERSION" in contract.problems(copy)[0]


def test_v1_stays_version_1(copy: Path) -> None:
    """A second major version would be another package, callrequest.v2, beside this one."""
    (copy / "contract/VERSION").write_text("2.0.0")
    assert "begin with 1" in contract.problems(copy)[0]


def test_a_release_is_kept_and_holds_from_then_on(copy: Path) -> None:
    """Releasing puts today's protos beside the earlier ones; what it added must stay."""
    before = contract.releases(copy)
    _change(copy, RESULT, "(?=// The outcome in detail)", "// More.\nstring more = 90;\n")
    _grow(copy, 1)
    made = contract.release(copy)
    assert contract.releases(copy) == [*before, made]
    _change(copy, RESULT, "string more = 90;", "")
    _grow(copy, 1)
    assert '"more"' in contract.problems(copy)[0]


def test_a_release_that_breaks_callers_is_refused(copy: Path) -> None:
    """Nothing is written, and the reason is printed."""
    before = contract.releases(copy)
    _change(copy, RESULT, "optional string fax = 3;", "")
    with pytest.raises(SystemExit, match="fax"):
        contract.release(copy)
    assert contract.releases(copy) == before


def test_the_archive_holds_the_protos_and_nothing_of_its_making() -> None:
    """Each proto at its import path, the license, and no time or user: the same bytes each time."""
    packed = stubs.proto_archive()
    assert packed == stubs.proto_archive()
    assert packed[4:8] == bytes(4)  # gzip's own time
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        top = f"callrequest-{contract.version()}"
        protos = {f"{top}/{path.relative_to(ROOT / 'protos')}" for path in (ROOT / "protos").rglob("*.proto")}
        assert set(archive.getnames()) == protos | {f"{top}/LICENSE"}
        assert {(entry.mtime, entry.uid, entry.uname) for entry in archive} == {(stubs.EPOCH, 0, "")}
        read = archive.extractfile(f"{top}/callrequest/v1/{SERVICE}")
        assert read is not None
        assert read.read() == (ROOT / "protos/callrequest/v1" / SERVICE).read_bytes()


def _build_java_without_java(out: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools.stubs", "--out", str(out), "java"]
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=kept | {"PATH": "/nonexistent"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_toolchain_is_named_and_fails_in_ci_alone(tmp_path: Path) -> None:
    """On a user's machine the rest is built; in CI nothing is left out without notice."""
    for environment, code in ({}, 0), ({"CI": "true"}, 1):
        ended = _build_java_without_java(tmp_path, **environment)
        assert ended.returncode == code
        assert "java: skipped" in ended.stdout


def test_what_is_built_can_be_checked_and_compiled(tmp_path: Path) -> None:
    """SHA256SUMS has every file; the command in contract/stubs/README.md compiles the descriptor set."""
    _build_java_without_java(tmp_path)
    named = {line.split()[1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()}
    assert named == {path.name for path in tmp_path.iterdir()} - {"SHA256SUMS"}
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)

    (command,) = re.findall(r"^protoc (.*)", (ROOT / "contract/stubs/README.md").read_text(), re.MULTILINE)
    called = command.replace(f"dist/stubs/callrequest-{contract.version()}", f"callrequest-{contract.version()}")
    arguments = called.replace("--cpp_out", "--python_out").split()  # what the protoc of grpcio-tools has
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], cwd=tmp_path, check=True)
    assert (tmp_path / "callrequest/v1/call_request_pb2.py").exists()
