"""Pages with commands and what they print, read and written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_BLOCK = re.compile(
    r"^```sh\n(?P<command>.*?)^```\n(?:\n```(?P<kind>json|text)\n(?P<output>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
_PROGRAM = re.compile(r"^(```\w+ (?P<file>\S+)\n).*?^```\n", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```\n", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)\n", re.MULTILINE)
_VOLATILE = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>"),
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r'(?<="retry_delay": ")\d+\.\d+(?=s")', "<seconds>"),  # with a fraction it is jitter
    (r'(?<=":) +', " "),  # Go's JSON has one space or two, by the build
)


@dataclass(frozen=True)
class Block:
    """A command and its output on the page; None when the page shows none."""

    command: str
    output: str | None


@dataclass(frozen=True)
class Section:
    """What stands under a heading, down to the next one. text: heading included."""

    title: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        return [Block(found["command"], found["output"]) for found in _BLOCK.finditer(self.text)]

    def showing(self, outputs: Sequence[str | None]) -> str:
        """Its text with these outputs, one for each block. What differs only in times and the like stays as it is."""
        printed = iter(outputs)

        def replace(found: re.Match[str]) -> str:
            now, before = next(printed), found["output"]
            if now is None or before is None or masked(now) == masked(before):
                return found[0]
            return f"```sh\n{found['command']}```\n\n```{found['kind']}\n{now}```\n"

        return _BLOCK.sub(replace, self.text)


def sections(page: str) -> list[Section]:
    """The sections of a page that begins with a heading: joined, their texts are the page."""
    outside = _FENCED.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), page)  # a comment in a command is no heading
    headings = list(_HEADING.finditer(outside))
    bounds = pairwise([*(heading.start() for heading in headings), len(page)])
    return [Section(heading[1], page[begin:end]) for heading, (begin, end) in zip(headings, bounds, strict=True)]


def masked(output: str) -> str:
    """Without what differs from run to run."""
    for pattern, instead in _VOLATILE:
        output = re.sub(pattern, instead, output)
    return output


def with_programs(page: str, folder: Path) -> str:
    """A page in which each block that names a file after its language, as in ```go a/file.go, is that file."""
    return _PROGRAM.sub(lambda block: f"{block[1]}{(folder / block['file']).read_text()}```\n", page)
