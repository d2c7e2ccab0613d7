"""The pages in Markdown: their links, their index, and what they refer to."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.lacking import need_clone
from tests.test_layers import LAYERS
from tools.contract import ROOT

_LISTED = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]


def _files(*patterns: str) -> list[Path]:
    listed = subprocess.run([*_LISTED, *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(ROOT / name for name in listed.stdout.split() if (ROOT / name).is_file())


need_clone()
PAGES = _files("*.md")


def _prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors of the headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """A link into the repository names a file that is there, and a heading of it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in _anchors(target), link


def test_the_index_lists_every_page() -> None:
    """docs/README.md is complete: each page of docs/ is linked there."""
    index = (ROOT / "docs/README.md").read_text()
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index]
    assert missing == ["README.md"]


def test_the_picture_of_the_layers_names_each() -> None:
    """docs/architecture.md has the layers of the test, and no module there is forgotten."""
    picture = (ROOT / "docs/architecture.md").read_text().partition("## A read")[0]
    built = [layer for layer in LAYERS if (ROOT / "server" / layer).is_dir() or (ROOT / f"server/{layer}.py").is_file()]
    assert [layer for layer in built if layer != "__init__" and not re.search(rf"\b{layer}\b", picture)] == []


def test_architecture_names_only_modules_that_exist() -> None:
    """A path in docs/architecture.md is a file of server/, tests/ or the like."""
    for path in re.findall(r"`([\w/]+\.py)`", (ROOT / "docs/architecture.md").read_text()):
        places = [ROOT / path, ROOT / "server" / path, *(ROOT / "server").glob(f"*/{path}")]
        assert any(place.is_file() for place in places), path


def test_nothing_refers_to_what_is_not_in_the_repository() -> None:
    """Code and docs stand in their own words: no design, no style guide and no numbered issue is at hand here."""
    outside = re.compile(
        r"\bthe design\b|\bDESIGN\.md\b|\bSTYLE\.md\b|\bSTYLE's\b|\bthe issue's\b|\bissue \d", re.IGNORECASE
    )
    text = _files("*.py", "*.md", "*.toml", "*.proto", "*.go", "*.java", "*.ts", "Makefile", "Dockerfile")
    found = {
        str(path.relative_to(ROOT)): outside.findall(path.read_text())
        for path in text
        if path.name != Path(__file__).name and outside.search(path.read_text())
    }
    assert found == {}
