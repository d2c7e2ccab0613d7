"""Writes the version in contract/VERSION wherever packages and their docs repeat it: python -m tools.contract_version.

With --check nothing is written: the exit code is 1 when a file has another version, or none.
"""

import re
import sys
from collections.abc import Mapping, Sequence

from tools.contract import ROOT, version

_NUMBER = r"\d+\.\d+\.\d+"
REPEATED: Mapping[str, Sequence[str]] = {
    "clients/go/README.md": ["callrequest.internal/callrequest@v{}"],
    "clients/go/go.mod": ["callrequest.internal/callrequest v{}"],
    "clients/java/README.md": ["<artifactId>callrequest-v1</artifactId>\n      <version>{}<"],
    "clients/java/pom.xml": ["<callrequest.version>{}<"],
    "clients/python/README.md": ["callrequest_stubs-{}-py3-none-any.whl"],
    "clients/typescript/README.md": ["callrequest-v1-{}.tgz"],
    "contract/stubs/README.md": ["callrequest-{}.binpb", "-I callrequest-{}`"],
    "contract/stubs/go/README.md": ["callrequest.internal/callrequest@v{}"],
    "contract/stubs/java/README.md": ["<artifactId>callrequest-v1</artifactId>\n  <version>{}<"],
    "contract/stubs/typescript/README.md": ["callrequest-v1-{}.tgz"],
}
"""The texts around the version, by file."""


def with_version(text: str, around: Sequence[str], number: str) -> str:
    """The text with that version. Raises ValueError when one of the texts around it does not occur."""
    for each in around:
        before, after = map(re.escape, each.split("{}"))
        text, times = re.subn(f"({before}){_NUMBER}({after})", rf"\g<1>{number}\g<2>", text)
        if not times:
            raise ValueError(f"no {each!r}")
    return text


def main() -> None:
    stale = {}
    for name, around in REPEATED.items():
        text = (ROOT / name).read_text()
        try:
            fresh = with_version(text, around, version())
        except ValueError as error:
            raise SystemExit(f"{name}: {error}") from None
        if fresh != text:
            stale[ROOT / name] = fresh
    if "--check" in sys.argv[1:]:
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            raise SystemExit(f"another version than contract/VERSION has ({names}): run `make generate`")
        return
    for path, fresh in stale.items():
        path.write_text(fresh)


if __name__ == "__main__":
    main()
