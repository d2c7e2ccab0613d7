"""SECURITY.md promises nothing without a test that exists."""

import ast
import re
from pathlib import Path

import pytest

from measure.faults.suite import CASES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("path", "name"), [pytest.param(*each, id=each[1]) for each in TESTS])
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    """In that file, under that name."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, functions)}


def test_a_case_of_the_fault_suite_that_the_page_names_exists() -> None:
    """Each of those after `make faults`."""
    named = {name for names in re.findall(r"`make faults`: ([a-z, -]+?) \|", PAGE) for name in names.split(", ")}
    assert named
    assert named <= {case.name for case in CASES}


def test_every_promise_names_its_test() -> None:
    """Only the rows of the dependencies and the release have none: their checks are commands."""
    rows = re.findall(r"^\| (?!threat|asset|---)([^|]+) \| [^|]+ \| ([^|]*)\|$", PAGE, re.MULTILINE)
    assert len(rows) > 20
    assert [threat for threat, test in rows if not test.strip()] == [
        "a package is exchanged, or known to be weak",
        "a release is exchanged on its way",
    ]
