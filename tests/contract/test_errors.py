"""One decision for each error: the catalogue has it, and the protos, the clients and docs/errors.md follow it."""

import re
import subprocess
import sys

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import code_pb2 as codes

from callrequest.v1.call_request_service_pb2 import DESCRIPTOR
from callrequest.v1.error_reason_pb2 import ErrorReason
from server.errors import CATALOGUE, Decision
from tests.lacking import need_clone
from tools import contract
from tools.contract import ROOT
from tools.contract_version import REPEATED, with_version
from tools.decisions import PAGE, codes_of, comments, files, names

COMMENTS = {name: comment for name, comment in comments().items() if name != "UNSPECIFIED"}
AGAIN = re.compile(r"\b(?:try|watch) again\b", re.IGNORECASE)
_SERVICE, _METHOD = 6, 2  # field numbers in descriptor.proto


def _lines_of_rpcs() -> "list[tuple[str, list[str], list[str], str]]":
    """What the comments of the RPCs list: the RPC, the codes, the ErrorReasons, the advice."""
    images = FileDescriptorSet.FromString(contract.descriptor_set()).file
    (file,) = (file for file in images if file.name == "callrequest/v1/call_request_service.proto")
    found = []
    for place in file.source_code_info.location:
        if list(place.path[::2]) == [_SERVICE, _METHOD] and len(place.path) == 4:
            _, _, listed = place.leading_comments.partition("Errors (code, ErrorReason):")
            for item in re.split(r"\n\s+\* ", listed)[1:]:
                head, advice = " ".join(item.split()).split(": ", 1)
                named_codes, _, named = head.partition(", ")
                rpc = file.service[0].method[place.path[3]].name
                found.append((rpc, named_codes.split(" or "), re.split(r", | or ", named), advice))
    return found


RPC_LINES = _lines_of_rpcs()


def _spec_codes(name: str) -> list[str]:
    return codes_of(COMMENTS[name])


@pytest.mark.parametrize("name", COMMENTS)
def test_the_comment_of_a_reason_has_its_code_and_its_decision(name: str) -> None:
    """Its example begins with the catalogue's code; it advises to try again if and only if that is the decision."""
    spec = CATALOGUE[ErrorReason.Value(f"ERROR_REASON_{name}")]
    assert codes.Code.Name(spec.code) in _spec_codes(name)
    advice = COMMENTS[name].split("\n\n")[0]
    assert bool(AGAIN.search(" ".join(advice.split()))) == (spec.decision is Decision.RETRY_LATER)
    if spec.wait:
        assert spec.decision is Decision.RETRY_LATER, "RetryInfo is for what may be tried again"


@pytest.mark.parametrize(
    ("rpc", "named_codes", "named", "advice"),
    [pytest.param(*line, id=f"{line[0]}-{'-'.join(line[2])[:60]}") for line in RPC_LINES if line[2] != [""]],
)
def test_a_line_of_an_rpc_has_the_codes_and_the_decision_of_its_reasons(
    rpc: str, named_codes: list[str], named: list[str], advice: str
) -> None:
    """Codes and advice in the comment of an RPC are those of the catalogue."""
    known = [name for name in named if name in names()]
    if named == ["any other ErrorReason"]:
        return
    assert known == named
    assert set(named_codes) == {code for name in named for code in _spec_codes(name)}
    assert {bool(AGAIN.search(advice))} == {names()[name] is Decision.RETRY_LATER for name in named}


def test_every_reason_to_act_on_is_named_by_an_rpc() -> None:
    """A reason stands in the comment of an RPC that may fail with it, unless only operators can act."""
    named = {name for _, _, reasons, _ in RPC_LINES for name in reasons}
    acted_on = {name for name, decision in names().items() if decision is not Decision.ALERT_OPERATORS}
    assert acted_on - named == set()
    assert {rpc for rpc, *_ in RPC_LINES} == {
        method.name for method in DESCRIPTOR.services_by_name["CallRequestService"].methods
    }


def test_the_clients_and_the_page_have_the_catalogues_decisions() -> None:
    """`make generate` has been run: five files are what the catalogue makes of them."""
    stale = [path for path, text in files((ROOT / PAGE).read_text()).items() if (ROOT / path).read_text() != text]
    assert stale == []
    assert set(names()) == set(COMMENTS)


def test_the_version_of_the_contract_stands_in_one_place() -> None:
    """Where packages and docs repeat contract/VERSION, `make generate` has written it."""
    command = [sys.executable, "-m", "tools.contract_version", "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for name, around in REPEATED.items():
        assert "9.8.7" in with_version((ROOT / name).read_text(), around, "9.8.7")
    with pytest.raises(ValueError, match=r"no 'pack-\{\}'"):
        with_version("pack 1.0.0", ["pack-{}"], "1.0.1")


def test_the_version_is_repeated_nowhere_else() -> None:
    """What names the version without being on the list would be forgotten by the next one."""
    need_clone()
    number = contract.version()
    tracked = subprocess.run(
        ["git", "grep", "-lF", number, "--", "clients", "contract", "tools", "docs/*.md", "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    listed = {*REPEATED, "contract/VERSION"}
    # Dependencies have versions, too; and the reference is made from contract/VERSION.
    others = re.compile(r"lock|requirements|go\.sum|go\.mod|\.binpb|docs/reference/")
    found = {name for name in tracked.stdout.split() if not others.search(name)}
    assert found <= listed
