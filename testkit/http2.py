"""HTTP/2 as bytes: what clients send that no library would, and calls that cost next to nothing.

Headers are sent as HPACK literals, and the peer is asked for a header table of no size, so that its trailers can be
read without a decoder (RFC 9113, RFC 7541).
"""

import struct
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
MAX_FRAME = 1 << 14  # bytes of a frame's payload
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
CANCEL, REFUSED_STREAM = 8, 7
MAX_CONCURRENT_STREAMS = 3
_TABLE_SIZE, _INITIAL_WINDOW, _TRUE_BINARY = 1, 4, 0xFE03  # the last is grpc's own: -bin metadata as it is, not base64


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def hello(window: int = 1 << 24) -> bytes:
    """The first bytes of a client, without a header table. window: of each stream, in bytes."""
    wanted = ((_TABLE_SIZE, 0), (_INITIAL_WINDOW, window), (_TRUE_BINARY, 1))
    settings = b"".join(struct.pack(">HI", *pair) for pair in wanted)
    whole = struct.pack(">I", (1 << 31) - 1 - 65_535)
    return PREFACE + frame(SETTINGS, payload=settings) + frame(WINDOW_UPDATE, payload=whole)


def call_headers(path: str, timeout: float | None = None, *more: tuple[str, bytes]) -> bytes:
    """The header block of a gRPC call. path: surrogates stand for bytes. timeout: seconds, sent as grpc-timeout."""
    block = b"\x83\x86\x01" + _text(b"gateway") + b"\x04" + _text(path.encode("utf-8", "surrogateescape"))
    named = [("content-type", b"application/grpc"), ("te", b"trailers"), *more]
    if timeout is not None:
        named.append(("grpc-timeout", b"%dm" % round(timeout * 1000)))
    return block + b"".join(b"\x00" + _text(name.encode()) + _text(value) for name, value in named)


def header_frames(stream: int, block: bytes, flags: int = 0) -> bytes:
    """A header block of any length as HEADERS and CONTINUATION frames. flags: END_STREAM."""
    parts = [block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME)]
    last = len(parts) - 1
    return b"".join(
        frame(CONTINUATION if at else HEADERS, (END_HEADERS if at == last else 0) | (0 if at else flags), stream, part)
        for at, part in enumerate(parts)
    )


def call(stream: int, headers: bytes, message: bytes) -> bytes:
    """A whole unary call as frames."""
    content = b"\x00" + struct.pack(">I", len(message)) + message
    return header_frames(stream, headers) + frame(DATA, END_STREAM, stream, content)


def reset(stream: int) -> bytes:
    """The frame that cancels a call."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))


def frames(received: bytearray) -> Iterator[tuple[int, int, int, bytes]]:
    """Takes whole frames from the front of what was received: kind, flags, stream, payload."""
    at = 0
    try:
        while len(received) - at >= 9:
            end = at + 9 + int.from_bytes(received[at : at + 3], "big")
            if len(received) < end:
                break
            stream = int.from_bytes(received[at + 5 : at + 9], "big")
            yield received[at + 3], received[at + 4], stream, bytes(received[at + 9 : end])
            at = end
    finally:
        del received[:at]


def value_of(block: bytes, name: bytes) -> bytes | None:
    """The value of a header in a block of literals that are not Huffman-coded; None when it is not there."""
    at = block.find(_text(name))
    if at < 0:
        return None
    at += 1 + len(name)
    length, at = block[at] & 0x7F, at + 1
    if length == 0x7F:
        shift = 0
        while True:
            byte, at = block[at], at + 1
            length += (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
    return block[at : at + length]


def setting(payload: bytes, wanted: int) -> int | None:
    """A value in a SETTINGS frame; None when it is not there."""
    return next((value for name, value in struct.iter_unpack(">HI", payload) if name == wanted), None)


def _text(value: bytes) -> bytes:
    if len(value) < 0x7F:
        return bytes([len(value)]) + value
    rest, coded = len(value) - 0x7F, bytearray([0x7F])
    while rest >= 0x80:
        coded.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*coded, rest]) + value
