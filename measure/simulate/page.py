"""The parts of docs/scale.md that are written by `python -m measure.simulate --write`."""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PLOT = DOCS / "scale.md", DOCS / "scale.svg"
SIMULATED, CHECKED = "simulated", "checked"


def replaced(page: str, part: str, text: str) -> str:
    """The page with this text as its part. Raises ValueError when it has not the markers of the part once each."""
    begin, end = f"<!-- {part}: written by python -m measure.simulate -->", f"<!-- /{part} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"{PAGE.name}: one {begin} and one {end} are needed")
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}"
