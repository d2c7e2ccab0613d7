"""What the pages show is what their commands print, and the reference has all of the contract."""

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from callrequest.v1.call_request_service_pb2 import DESCRIPTOR
from callrequest.v1.error_reason_pb2 import ErrorReason
from testkit.server_process import ROOT, clean_environment
from tests.lacking import lacking
from tools import contract
from tools.clients.toolchains import MissingToolchainError, commands_for
from tools.examples.__main__ import PAGES, PROGRAMS
from tools.examples.pages import Section, sections, with_programs
from tools.examples.running import Page, running_page
from tools.reference import site

EXAMPLES = {section.title: section for section in sections((ROOT / "docs/examples.md").read_text())}
REASONS = [name.removeprefix("ERROR_REASON_") for name, number in ErrorReason.items() if number]
RPCS = [method.name for method in DESCRIPTOR.services_by_name["CallRequestService"].methods]
REFERENCE = ROOT / "docs/reference"
PROGRAMS_OF = ROOT / "docs/testing-against"
BIN = ROOT / "build/bin"


def _shown(section: Section) -> str:
    return "".join(block.output or "" for block in section.blocks)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A gateway that the pages' commands are run against."""
    if missing := [name for name in ("grpcurl", "ghz", "grpc-health-probe") if not (BIN / name).exists()]:
        lacking(f"build/bin has no {', '.join(missing)}: run tools/go/install")
    with running_page() as running:
        yield running


@pytest.mark.parametrize(
    "section",
    [
        pytest.param(section, id=f"{path.stem}-{section.title}")
        for path in PAGES
        for section in sections(path.read_text())
        if section.blocks
    ],
)
def test_a_page_shows_what_its_commands_print(page: Page, section: Section) -> None:
    """Run again, each prints the same, but for times; what shows no output succeeds."""
    assert section.showing(page.run(section)) == section.text


@pytest.mark.parametrize("rpc", RPCS)
def test_every_rpc_has_an_example(rpc: str) -> None:
    """It calls that RPC, and shows an answer."""
    assert any(f"CallRequestService/{rpc}\n" in block.command for block in EXAMPLES[rpc].blocks)
    assert _shown(EXAMPLES[rpc])


WITHOUT_EXAMPLE = {"INTERNAL"}
"""ErrorReasons that no command on a page can cause: a defect."""


@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason not in WITHOUT_EXAMPLE])
def test_every_error_reason_has_an_example(reason: str) -> None:
    """It shows a status with that reason, and none with another."""
    shown = re.findall('"reason": "([A-Z_]+)"', _shown(EXAMPLES[reason]))
    assert {name for name in shown if not name.startswith("CANCELLATION_REJECTION_REASON_")} == {reason}


@pytest.mark.parametrize("reason", sorted(WITHOUT_EXAMPLE))
def test_an_error_reason_without_an_example_says_so(reason: str) -> None:
    """Nothing is made up for what no command can cause: the page has the reason's section, and why it is empty."""
    assert EXAMPLES[reason].blocks == []
    assert "There is no example" in EXAMPLES[reason].text


def _run(language: str, command: list[str | Path], folder: Path) -> None:
    """Runs one of the programs that start a gateway themselves; its output is the failure."""
    try:
        toolchain = commands_for(language, may_install=False)
    except MissingToolchainError as missing:
        lacking(str(missing))
    if not (BIN / "grpcurl").exists():
        lacking("build/bin has no grpcurl: run tools/go/install")
    environment = clean_environment()
    path = [Path(sys.executable).parent, BIN, *toolchain, environment["PATH"]]
    environment["PATH"] = os.pathsep.join(map(str, path))
    ended = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_the_program_in_go_works() -> None:
    """What docs/testing-against.md shows for Go passes, and gofmt leaves it as it is."""
    _run("go", ["go", "test", "-count=1", "./..."], PROGRAMS_OF / "go")
    _run("go", ["bash", "-c", "test -z $(gofmt -l .)"], PROGRAMS_OF / "go")


def test_the_program_in_java_works() -> None:
    """What docs/testing-against.md shows for Java passes."""
    _run("java", ["java", "WithGateway.java"], PROGRAMS_OF / "java")


def test_the_program_in_typescript_works(tmp_path: Path) -> None:
    """What docs/testing-against.md shows for TypeScript compiles, strictly, and passes."""
    modules = ROOT / "clients/typescript/node_modules"
    compiler = modules / ".bin/tsc"
    if not compiler.exists():
        lacking("clients/typescript has no node_modules: run `make clients`")
    options = [
        "--ignoreConfig",
        "--skipLibCheck",
        "--strict",
        "--noUncheckedIndexedAccess",
        "--exactOptionalPropertyTypes",
    ]
    options += ["--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--types", "node"]
    where: list[str | Path] = ["--typeRoots", modules / "@types", "--outDir", tmp_path]
    _run("typescript", [compiler, *options, *where, "gateway.test.ts"], PROGRAMS_OF / "typescript")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    _run("typescript", ["node", "--test", "gateway.test.js"], tmp_path)


def test_the_program_in_python_works() -> None:
    """What docs/testing-against.md shows for Python passes, and its types are right."""
    alone = ["-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    _run("python", [sys.executable, "-m", "pytest", "-q", *alone, "."], PROGRAMS_OF / "python")
    _run("python", [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "."], PROGRAMS_OF / "python")


def test_the_page_shows_the_programs_as_they_are() -> None:
    """A page cannot show other code than what was run."""
    assert with_programs(PROGRAMS.read_text(), PROGRAMS.parent) == PROGRAMS.read_text()
    for program in ("go/gateway_test.go", "java/WithGateway.java", "typescript/gateway.test.ts"):
        assert (PROGRAMS_OF / program).read_text() in PROGRAMS.read_text()
    assert (PROGRAMS_OF / "python/test_with_gateway.py").read_text() in PROGRAMS.read_text()


SECTION = """### One

```sh
# Says it.
echo hello
```

```json
{"status": "PENDING", "observed_at": "2026-11-22T15:11:25.9Z"}
```
"""


def test_only_what_matters_makes_a_page_stale() -> None:
    """Another time or another space is the same answer, and stays as it was written; another word is not."""
    (section,) = sections(SECTION)
    same = '{"status":  "PENDING", "observed_at": "2031-01-01T00:00:00Z"}\n'
    assert section.showing([same]) == SECTION
    assert '"COMPLETED"' in section.showing([same.replace("PENDING", "COMPLETED")])
    assert "```json\nnothing\n```" in section.showing(["nothing\n"])


def test_a_comment_in_a_command_is_no_heading() -> None:
    """A page is cut at its headings, and joined again it is the page."""
    assert [section.title for section in sections(SECTION + "## Two\n")] == ["One", "Two"]
    for path in PAGES:
        assert "".join(section.text for section in sections(path.read_text())) == path.read_text()


def test_the_reference_is_up_to_date() -> None:
    """It is what sabledocs makes of today's protos and examples."""
    if not site.ENVIRONMENT.exists() and os.environ.get("CI") != "true":  # there it is made by the check itself
        lacking("build/sabledocs is missing: run `make generate`")
    command = [sys.executable, "-m", "tools.reference", "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def _text(page: str) -> str:
    words = re.sub(r"<summary>.*?</summary>|<[^>]+>", "", page)
    return re.sub(r"\s+", "", html.unescape(words))


def test_the_reference_has_every_comment_and_every_example() -> None:
    """Nothing of the contract is left out of its pages, and nothing that the examples' page shows."""
    page = _text((REFERENCE / "callrequest.v1.html").read_text())
    files = [
        file for file in FileDescriptorSet.FromString(contract.descriptor_set()).file if "callrequest" in file.name
    ]
    comments = [place.leading_comments for file in files for place in file.source_code_info.location]
    paragraphs = [line for comment in comments for line in re.split(r"\n\s*\n|\n\s+\*", comment) if line.strip()]
    assert len(paragraphs) > 100
    missing = [line for line in paragraphs if re.sub(r"[\s`*]+", "", line) not in page]
    assert missing == []
    shown = [block.output for name in (*RPCS, *REASONS) for block in EXAMPLES[name].blocks if block.output]
    assert [output for output in shown if re.sub(r"\s+", "", output) not in page] == []


def test_the_references_links_lead_somewhere() -> None:
    """Each link goes to a page and an anchor that are there."""
    pages = {path.name: path.read_text() for path in REFERENCE.glob("*.html")}
    for name, text in pages.items():
        for link in re.findall(r'href="([^"]+)"', text):
            if not link.startswith("https://"):
                target, _, anchor = link.partition("#")
                assert (REFERENCE / (target or name)).exists(), link
                assert not anchor or f'id="{anchor}"' in pages[target or name], link


def test_the_reference_loads_nothing_from_the_network() -> None:
    """It can be read offline, and sends nothing: its styles and scripts are small files beside it."""
    written = [path for path in REFERENCE.rglob("*") if path.is_file()]
    loaded = {
        url
        for path in written
        for url in re.findall(r'(?:<link[^>]*href|src|@import|url\()[=( ]*["\']?([^"\')]+)', path.read_text())
    }
    assert loaded == {"static/style.css", "static/ranking.js", "static/search.js"}
    assert sum(path.stat().st_size for path in written) < 500_000
