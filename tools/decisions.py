"""Writes what callers do after each error, from the catalogue in server/errors.py: python -m tools.decisions [--check].

It goes into a table for each language of clients/, and, with codes and meanings, into docs/errors.md. With --check
nothing is written: the exit code is 1 when a file is stale.
"""

import re
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import code_pb2 as codes

from callrequest.v1.error_reason_pb2 import ErrorReason
from server.errors import CATALOGUE, Decision
from tools.contract import ROOT, descriptor_set

PAGE = Path("docs/errors.md")
MARK = "<!-- From here on written by `make generate`. -->\n"
_BY = "by `make generate` from server/errors.py"
_ENUM, _VALUE = 5, 2  # field numbers in descriptor.proto: FileDescriptorProto.enum_type, EnumDescriptorProto.value


def names() -> dict[str, Decision]:
    """The decision for each ErrorReason, by its name as in ErrorInfo, in the order of the contract."""
    return {
        ErrorReason.Name(reason).removeprefix("ERROR_REASON_"): CATALOGUE[reason].decision
        for reason in ErrorReason.values()
        if reason in CATALOGUE
    }


def files(page: str) -> dict[Path, str]:
    """The generated files, by their paths in the repository. page: docs/errors.md as it is."""
    return {
        Path("clients/go/gateway/decisions.go"): _go(names()),
        Path("clients/java/src/main/java/internal/callrequest/client/Decisions.java"): _java(names()),
        Path("clients/python/client/decision_table.py"): _python(names()),
        Path("clients/typescript/src/decisions.ts"): _typescript(names()),
        PAGE: page.partition(MARK)[0] + MARK + _table(),
    }


def comments() -> dict[str, str]:
    """The comment of each ErrorReason in the proto, by its name as in ErrorInfo."""
    files = FileDescriptorSet.FromString(descriptor_set()).file
    (file,) = (file for file in files if file.name == "callrequest/v1/error_reason.proto")
    return {
        file.enum_type[0].value[place.path[3]].name.removeprefix("ERROR_REASON_"): place.leading_comments
        for place in file.source_code_info.location
        if list(place.path[::2]) == [_ENUM, _VALUE]
    }


def codes_of(comment: str) -> list[str]:
    """The status codes of a comment: "UNKNOWN or DEADLINE_EXCEEDED. Example: the connection broke"."""
    found = re.search(r"^ ([A-Z_]+(?: or [A-Z_]+)*)\. Example: ", comment, re.MULTILINE)
    return found[1].split(" or ") if found else []


def _go(decisions: dict[str, Decision]) -> str:
    width = max(map(len, decisions)) + len('"":')
    keys = {f'"{name}":': _camel(decision) for name, decision in decisions.items()}
    lines = [f"\t{key:{width}} {decision},\n" for key, decision in keys.items()]  # aligned as gofmt does
    return (
        f"// Code generated {_BY}. DO NOT EDIT.\n\npackage gateway\n\n"
        "// decisions has the decision for each ErrorReason.\n"
        f"var decisions = map[string]Decision{{\n{''.join(lines)}}}\n"
    )


def _java(decisions: dict[str, Decision]) -> str:
    entries = ",\n".join(f'          entry("{name}", Decision.{each.name})' for name, each in decisions.items())
    return (
        f"// Generated {_BY}.\npackage internal.callrequest.client;\n\n"
        "import static java.util.Map.entry;\n\nimport java.util.Map;\n\n"
        "/** The decision for each ErrorReason. */\nfinal class Decisions {\n"
        f"  static final Map<String, Decision> BY_REASON =\n      Map.ofEntries(\n{entries});\n\n"
        "  private Decisions() {}\n}\n"
    )


def _python(decisions: dict[str, Decision]) -> str:
    lines = "".join(f'    "{name}": Decision.{decision.name},\n' for name, decision in decisions.items())
    return (
        f'"""The decision for each ErrorReason. Generated {_BY}."""\n\n'
        "from collections.abc import Mapping\n\nfrom .decision import Decision\n\n"
        f"DECISIONS: Mapping[str, Decision] = {{\n{lines}}}\n"
    )


def _typescript(decisions: dict[str, Decision]) -> str:
    choices = " | ".join(f'"{decision.name}"' for decision in Decision)
    lines = "".join(f'  {name}: "{decision.name}",\n' for name, decision in decisions.items())
    return (
        f"// Generated {_BY}.\n\n/** What to do about a call that failed. */\n"
        f"export type Decision = {choices};\n\n/** The decision for each ErrorReason. */\n"
        f"export const DECISIONS: Readonly<Record<string, Decision>> = {{\n{lines}}};\n"
    )


def _table() -> str:
    decisions = "".join(f"| {decision.name} | {decision.value} |\n" for decision in Decision)
    lines = []
    for name, comment in comments().items():
        if name not in names():
            continue
        spec = CATALOGUE[ErrorReason.Value(f"ERROR_REASON_{name}")]
        allowed = codes_of(comment) or [codes.Code.Name(spec.code)]
        meaning = " ".join(comment.split("\n\n")[0].split())
        retry = "yes" if spec.wait else ""
        lines.append(f"| {name} | {spec.decision.name} | {' or '.join(allowed)} | {retry} | {meaning} |\n")
    return (
        f"\n| decision | what a caller does |\n|---|---|\n{decisions}"
        "\n| ErrorReason | decision | code | RetryInfo | meaning |\n|---|---|---|---|---|\n" + "".join(lines)
    )


def _camel(decision: Decision) -> str:
    return "".join(word.capitalize() for word in decision.name.split("_"))


def main() -> None:
    fresh = files((ROOT / PAGE).read_text())
    stale = [path for path, text in fresh.items() if not (ROOT / path).exists() or (ROOT / path).read_text() != text]
    if "--check" in sys.argv[1:]:
        if stale:
            raise SystemExit(f"not what server/errors.py has ({', '.join(map(str, stale))}): run `make generate`")
        return
    for path in stale:
        (ROOT / path).write_text(fresh[path])


if __name__ == "__main__":
    main()
