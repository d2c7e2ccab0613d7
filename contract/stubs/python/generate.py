"""Writes the modules of callrequest.v1 from a descriptor set: python generate.py SET INTO.

The set is one with the protos' comments, as `buf build` makes it: they become the docstrings that editors show.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from grpc_tools import protoc

PACKAGE = "callrequest.v1"


def main() -> None:
    """Exits with 1 when protoc fails."""
    described, into = FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
    ours = [file for file in described.file if file.package == PACKAGE]
    for file in ours:
        _forget_json_names(file.message_type)
    with tempfile.NamedTemporaryFile() as written:
        written.write(described.SerializeToString())
        written.flush()
        _protoc(written.name, into, ("python", "mypy"), [file.name for file in ours])
        _protoc(written.name, into, ("grpc_python", "mypy_grpc"), [file.name for file in ours if file.service])


def _forget_json_names(messages: Iterable[DescriptorProto]) -> None:
    """A set has them all, the protos none of their own: so the modules are those that the protos give."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        _forget_json_names(message.nested_type)


def _protoc(described: str, into: Path, kinds: tuple[str, str], names: list[str]) -> None:
    built_in, plugin = kinds
    arguments = [
        f"--descriptor_set_in={described}",
        f"--plugin=protoc-gen-{plugin}={Path(sys.executable).parent / f'protoc-gen-{plugin}'}",
        f"--{built_in}_out={into}",
        f"--{plugin}_out=quiet:{into}",
    ]
    if protoc.main(["protoc", *arguments, *names]) != 0:
        sys.exit(1)


if __name__ == "__main__":
    main()
