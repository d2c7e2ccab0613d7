"""Writes what follows from deploy/alerts/alerts.yaml: python -m tools.deploy.alerts [--check | --anew].

With --check nothing is written; the exit code is 1 when something is stale. With --anew the rules of the objectives are
made by sloth even if they need not be, and nothing is written either: the exit code is 1 when they differ.
"""

import sys
from pathlib import Path

from tools.contract import ROOT

from . import sloth
from .pages import PAGE, page
from .promtool_tests import TESTS, tests
from .rules import OPERATOR_RULES, RULES, as_operator_rules, as_rules, cause_group, objective_groups
from .source import read


def files(*, anew: bool = False) -> dict[Path, str]:
    """What follows from the source, by the path in the repository."""
    source = read()
    specification = sloth.specification(source)
    before = (ROOT / RULES).read_text() if (ROOT / RULES).exists() else ""
    groups = [*objective_groups(specification, before, anew=anew), cause_group(source)]
    return {
        RULES: as_rules(specification, groups),
        OPERATOR_RULES: as_operator_rules(groups),
        TESTS: tests(source),
        PAGE: page(source, (ROOT / PAGE).read_text()),
    }


def main() -> None:
    options = sys.argv[1:]
    fresh = files(anew="--anew" in options)
    stale = [path for path, text in fresh.items() if not (ROOT / path).exists() or (ROOT / path).read_text() != text]
    if options:
        sys.exit("\n".join(f"{path} is stale: run `make generate`" for path in stale) or 0)
    for path in stale:
        (ROOT / path).write_text(fresh[path])


if __name__ == "__main__":
    main()
