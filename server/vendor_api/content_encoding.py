"""Decodes compressed bodies. Requests ask for none; some proxies and servers compress all the same."""

import zlib
from collections.abc import Sequence

MAX_CODINGS = 5
"""Codings on top of each other that are decoded; curl's limit, too."""

MAX_MEMBERS = 100
"""Members of a gzip body that are decoded; it may have any number (RFC 1952, 2.2). Each costs what follows it."""

_MEMBER = b"\x1f\x8b"  # how a member begins
_GZIP = 31
_WINDOW_BITS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (15, -15), "x-deflate": (15, -15)}
"""By coding: zlib's window bits, to be tried in turn. Half of the servers send deflate without zlib's header."""


class NotDecodable(Exception):
    """The body is cut short, is not what its coding says, or is longer than the bound."""


def decode(body: bytes, codings: Sequence[str], max_bytes: int) -> bytes:
    """The body without its codings, given in the order in which they were applied, in lower case.

    Never takes more memory than max_bytes for each coding. A coding that is not known is left as it is, and so is what
    follows a compressed body. Raises NotDecodable.
    """
    if len(codings) > MAX_CODINGS:
        raise NotDecodable
    for coding in reversed(codings):
        for bits in _WINDOW_BITS.get(coding, ()):
            inflated = _inflate(body, bits, max_bytes)
            if inflated is not None:
                body = inflated
                break
        else:
            if coding in _WINDOW_BITS:
                raise NotDecodable
    return body


def _inflate(body: bytes, window_bits: int, max_bytes: int) -> bytes | None:
    """None when the body has another format."""
    inflated = b""
    for _ in range(MAX_MEMBERS):
        decompressor = zlib.decompressobj(window_bits)
        try:
            inflated += decompressor.decompress(body, max_bytes + 1 - len(inflated))
        except zlib.error:
            return None
        if len(inflated) > max_bytes or not decompressor.eof:
            raise NotDecodable
        body = decompressor.unused_data
        if not (body.startswith(_MEMBER) and window_bits == _GZIP):
            return inflated
    raise NotDecodable
