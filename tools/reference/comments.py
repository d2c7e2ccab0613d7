"""The protos' comments made ready for the reference: names linked to where they are described, examples put in."""

import re
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
    SourceCodeInfo,
)

from tools.examples.pages import sections

PACKAGE = "callrequest.v1"
PAGE = f"{PACKAGE}.html"
_REASON = "ERROR_REASON_"
_CODES_TOO = frozenset({"DEADLINE_EXCEEDED", "INTERNAL"})
"""ErrorReasons that are status codes as well: meant is what stands after the code, as in `INTERNAL, INTERNAL`."""


def annotate(contract: FileDescriptorSet, examples: str) -> None:
    """Makes the comments of our own files Markdown, with links and with what the examples' page has under the name."""
    ours = [file for file in contract.file if file.package == PACKAGE]
    links = {name: f"{PAGE}#{anchor}" for file in ours for name, anchor in anchors(file)}
    texts = {section.title: section.text.partition("\n")[2].strip() for section in sections(examples)}
    for file in ours:
        names = dict(_with_examples(file))
        for location in file.source_code_info.location:
            comment = linked(dedented(location), links)
            if text := texts.get(names.get(tuple(location.path), "")):
                comment += _folded(text)
            location.leading_comments, location.trailing_comments = comment, ""


def oneof_comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """The comment of each oneof, by `Message.oneof`."""
    comments = {tuple(location.path): location.leading_comments for location in file.source_code_info.location}
    for place, message in enumerate(file.message_type):
        for index, oneof in enumerate(message.oneof_decl):
            path = (file.MESSAGE_TYPE_FIELD_NUMBER, place, DescriptorProto.ONEOF_DECL_FIELD_NUMBER, index)
            if path in comments:  # the one behind an optional field has none
                yield f"{message.name}.{oneof.name}", comments[path]


def anchors(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """Names as comments have them, and where the page describes them."""
    for message in file.message_type:
        yield message.name, f"message-{PACKAGE}.{message.name}"
    for method in (method for service in file.service for method in service.method):
        yield method.name, method.name
    for enum in file.enum_type:
        yield enum.name, f"enum-{PACKAGE}.{enum.name}"
        for value in enum.value:
            if value.number and value.name.startswith(_REASON):
                yield value.name.removeprefix(_REASON), value.name.removeprefix(_REASON)


def _with_examples(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """What may have examples, by its path in the file: RPCs, and ErrorReasons without their prefix."""
    for place, service in enumerate(file.service):
        for index, method in enumerate(service.method):
            yield (file.SERVICE_FIELD_NUMBER, place, ServiceDescriptorProto.METHOD_FIELD_NUMBER, index), method.name
    for place, enum in enumerate(file.enum_type):
        for index, value in enumerate(enum.value):
            path = (file.ENUM_TYPE_FIELD_NUMBER, place, EnumDescriptorProto.VALUE_FIELD_NUMBER, index)
            yield path, value.name.removeprefix(_REASON)


def dedented(location: SourceCodeInfo.Location) -> str:
    """The comment without the blank that each line begins with."""
    lines = (location.leading_comments or location.trailing_comments).splitlines()
    return "\n".join(line.removeprefix(" ") for line in lines)


def linked(comment: str, links: dict[str, str]) -> str:
    """The comment with each name a link to where links has it, but in `code`. A plain word, as Action, is no name."""
    names = [
        f"(?<={name}, ){name}" if name in _CODES_TOO else name
        for name in sorted(links, key=len, reverse=True)
        if len(re.findall("[A-Z]", name)) > 1
    ]
    return re.sub(
        rf"`[^`]*`|\b(?P<name>{'|'.join(names)})\b",
        lambda found: f"[{found['name']}]({links[found['name']]})" if found["name"] else found[0],
        comment,
    )


def _folded(example: str) -> str:
    text = re.sub(r"\]\((?=\w+\.md)", "](../", example)  # its links are those of docs/
    return f'\n\n<details markdown="1">\n<summary>Examples</summary>\n\n{text}\n\n</details>\n'
