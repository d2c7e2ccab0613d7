"""As much of valkey-cli as the runbook uses, for machines without it: valkey_cli.py -h HOST -p PORT WORD...

It prints a reply as valkey-cli does where its output is no terminal: an element of a list on a line.
"""

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def install(folder: Path) -> None:
    """Puts a program `valkey-cli` into the folder."""
    program = folder / "valkey-cli"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).absolute()}" "$@"\n')
    program.chmod(0o755)


def ask(host: str, port: int, words: list[str]) -> str:
    """Sends one command. Returns what valkey-cli prints. Raises OSError."""
    sent = [each.encode() for each in words]
    with socket.create_connection((host, port), timeout=5) as connection, connection.makefile("rb") as reader:
        connection.sendall(b"*%d\r\n%b" % (len(sent), b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in sent)))
        return "\n".join(_lines(reader))


def _lines(reader: BinaryIO) -> Iterator[str]:
    kind, rest = chr(reader.read(1)[0]), reader.readline().rstrip(b"\r\n")
    if kind == "*":
        for _ in range(int(rest)):
            yield from _lines(reader)
    elif kind == "$":
        length = int(rest)
        yield reader.read(length + 2)[:length].decode(errors="replace") if length >= 0 else ""
    else:
        yield rest.decode(errors="replace")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-h", dest="host", default="127.0.0.1")
    parser.add_argument("-p", dest="port", type=int, default=6379)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    sys.stdout.write(ask(options.host, options.port, options.words) + os.linesep)
