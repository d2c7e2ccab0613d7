"""The reference as one page of Markdown, for where a code host shows HTML as source."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from tools.contract import version
from tools.reference.comments import PACKAGE, anchors, dedented, linked

_REASON = "ERROR_REASON_"
_SCALARS = {
    FieldDescriptorProto.TYPE_STRING: "string",
    FieldDescriptorProto.TYPE_INT32: "int32",
}
_Element = TypeVar("_Element")


def markdown(contract: FileDescriptorSet) -> str:
    """The page: RPCs, errors, messages and enums, each with its comment, and names linked to where they stand."""
    files = [file for file in contract.file if file.package == PACKAGE]
    return _Page(files).text()


class _Page:
    def __init__(self, files: list[FileDescriptorProto]) -> None:
        self._files = files
        self._comments = {
            (file.name, tuple(location.path)): dedented(location)
            for file in files
            for location in file.source_code_info.location
        }
        names = [name for file in files for name, _ in anchors(file)]
        self._links = {name: f"#{name.lower()}" for name in names} | {"ErrorReason": "#errors"}

    def text(self) -> str:
        return "\n".join(part.strip() + "\n" for part in self._parts() if part.strip())

    def _parts(self) -> Iterator[str]:
        yield "# Call request gateway"
        yield (
            f"Version {version()} of the contract, made from the comments of its protos. "
            "[As HTML](index.html), to open from a clone, it can be searched and has the examples in it."
        )
        for file in self._files:
            yield self._comment(file, (FileDescriptorProto.PACKAGE_FIELD_NUMBER,))
        yield "## RPCs"
        for file, place, service in _numbered(self._files, lambda file: file.service):
            yield self._comment(file, (file.SERVICE_FIELD_NUMBER, place))
            for index, method in enumerate(service.method):
                yield f"### {method.name}\n\n```proto\n{_signature(method)}\n```"
                path = (file.SERVICE_FIELD_NUMBER, place, ServiceDescriptorProto.METHOD_FIELD_NUMBER, index)
                yield self._comment(file, path)
                yield f"[Examples](../examples.md#{method.name.lower()})"
        enums = list(_numbered(self._files, lambda file: file.enum_type))
        for file, place, enum in enums:
            if enum.name == "ErrorReason":
                yield "## Errors"
                yield self._comment(file, (file.ENUM_TYPE_FIELD_NUMBER, place))
                yield from self._errors(file, place, enum)
        yield "## Messages"
        for file, place, message in _numbered(self._files, lambda file: file.message_type):
            yield f"### {message.name}"
            yield self._comment(file, (file.MESSAGE_TYPE_FIELD_NUMBER, place))
            yield "\n".join(self._fields(file, place, message))
        yield "## Enums"
        for file, place, enum in enums:
            if enum.name != "ErrorReason":
                yield f"### {enum.name}"
                yield self._comment(file, (file.ENUM_TYPE_FIELD_NUMBER, place))
                yield "\n".join(self._values(file, place, enum))

    def _errors(self, file: FileDescriptorProto, place: int, enum: EnumDescriptorProto) -> Iterator[str]:
        for path, value in _values(file, place, enum):
            if value.number:
                reason = value.name.removeprefix(_REASON)
                yield f"### {reason}"
                yield f"{self._comment(file, path).strip()}\n\n[Examples](../examples.md#{reason.lower()})"

    def _fields(self, file: FileDescriptorProto, place: int, message: DescriptorProto) -> Iterator[str]:
        within = (file.MESSAGE_TYPE_FIELD_NUMBER, place)
        for index, oneof in enumerate(message.oneof_decl):
            if comment := self._comment(file, (*within, DescriptorProto.ONEOF_DECL_FIELD_NUMBER, index)):
                yield _item(f"one of, as `{oneof.name}`", comment)
        for index, field in enumerate(message.field):
            comment = self._comment(file, (*within, DescriptorProto.FIELD_FIELD_NUMBER, index))
            yield _item(f"**{field.name}** {self._type(field)} = {field.number}", comment)

    def _values(self, file: FileDescriptorProto, place: int, enum: EnumDescriptorProto) -> Iterator[str]:
        for path, value in _values(file, place, enum):
            yield _item(f"**{value.name}** = {value.number}", self._comment(file, path))

    def _type(self, field: FieldDescriptorProto) -> str:
        full = field.type_name.removeprefix(".")
        name = full.removeprefix(f"{PACKAGE}.") or _SCALARS[field.type]
        shown = f"[{name}]({self._links[name]})" if name in self._links else name
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return f"repeated {shown}"
        return f"optional {shown}" if field.proto3_optional else shown

    def _comment(self, file: FileDescriptorProto, path: tuple[int, ...]) -> str:
        return linked(self._comments.get((file.name, path), ""), self._links)


def _signature(method: MethodDescriptorProto) -> str:
    takes, returns = (name.removeprefix(f".{PACKAGE}.") for name in (method.input_type, method.output_type))
    return f"rpc {method.name}({takes}) returns ({'stream ' if method.server_streaming else ''}{returns})"


def _item(title: str, comment: str) -> str:
    """An item of a list, with the comment's paragraphs in it."""
    lines = "\n".join(f"  {line}".rstrip() for line in comment.strip().splitlines())
    return f"- {title}\n\n{lines}\n"


def _values(
    file: FileDescriptorProto, place: int, enum: EnumDescriptorProto
) -> Iterable[tuple[tuple[int, ...], EnumValueDescriptorProto]]:
    for index, value in enumerate(enum.value):
        yield (file.ENUM_TYPE_FIELD_NUMBER, place, EnumDescriptorProto.VALUE_FIELD_NUMBER, index), value


def _numbered(
    files: list[FileDescriptorProto], elements: Callable[[FileDescriptorProto], Iterable[_Element]]
) -> Iterator[tuple[FileDescriptorProto, int, _Element]]:
    """The elements of all files, each with its file and its place there."""
    for file in files:
        for place, element in enumerate(elements(file)):
            yield file, place, element
