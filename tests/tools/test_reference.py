"""The reference's search, and its page in Markdown."""

import html
import json
import os
import re
import subprocess

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from testkit.server_process import ROOT, clean_environment
from tests.lacking import lacking
from tools import contract
from tools.clients.toolchains import MissingToolchainError, commands_for

REFERENCE = ROOT / "docs/reference"
RANKED = """
const { readFileSync } = require("node:fs");
require("node:vm").runInThisContext(readFileSync("docs/reference/static/ranking.js", "utf8"));
const { entries, typed } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(ranked(entries, typed).map(({ name }) => name)));
"""


def found(typed: str) -> list[str]:
    """The names that the page's search finds, in its order."""
    try:
        path = [*commands_for("typescript", may_install=False), os.environ["PATH"]]
    except MissingToolchainError as missing:
        lacking(str(missing))
    item = r'<li data-kind="(\w+)"(?: data-own="(\w+)")? data-text="([^"]*)"[^>]*><a [^>]*>([\w.]+)</a>'
    entries = [
        {"kind": kind, "own": own or name, "text": html.unescape(text), "name": name}
        for kind, own, text, name in re.findall(item, (REFERENCE / "index.html").read_text())
    ]
    assert len(entries) > 100
    ended = subprocess.run(
        ["node", "-e", RANKED],
        cwd=ROOT,
        env=clean_environment() | {"PATH": os.pathsep.join(map(str, path))},
        input=json.dumps({"entries": entries, "typed": typed}),
        capture_output=True,
        text=True,
        check=True,
    )
    names: list[str] = json.loads(ended.stdout)
    return names


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        pytest.param(
            "status",
            ["CallRequestResult.status", "CancellationRejected.status", "StatusReasonCategory"],
            id="fields, then the beginning of a name",
        ),
        pytest.param("cancel", ["CancelCallRequest", "CANCELLATION_NOT_ALLOWED"], id="the beginning of names"),
        pytest.param("OVERLOADED", ["OVERLOADED", "GetCallRequestResult"], id="an error before who mentions it"),
        pytest.param("max_age", ["GetCallRequestResultRequest.max_age"], id="a field before its RPC"),
        pytest.param("pending", ["CALL_REQUEST_STATUS_PENDING_TO_CALL"], id="a value without its prefix"),
        pytest.param("call status", ["CallRequestStatus", "CallStatus"], id="words of a name"),
        pytest.param("front of a pigeon", [], id="nothing"),
    ],
)
def test_a_search_finds_names_first(typed: str, first: list[str]) -> None:
    """The name itself, then names that begin so, then words in names; what only mentions it is last."""
    assert found(typed)[: max(len(first), 1)] == first


def test_a_search_finds_what_is_only_described() -> None:
    """Words that are in no name."""
    assert "CallOutcome" in found("personal data")


def test_the_page_in_markdown_has_every_comment() -> None:
    """Where a code host shows HTML as source, nothing of the contract is missing."""
    page = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", (REFERENCE / "README.md").read_text())
    squeezed = re.sub(r"[\s*`]+", "", page)
    files = [
        file for file in FileDescriptorSet.FromString(contract.descriptor_set()).file if "callrequest" in file.name
    ]
    comments = [place.leading_comments for file in files for place in file.source_code_info.location]
    lines = [line for comment in comments for line in re.split(r"\n\s*\n|\n\s+\*", comment) if line.strip()]
    assert len(lines) > 100
    assert [line for line in lines if re.sub(r"[\s*`]+", "", line) not in squeezed] == []
