"""Guests' data is encrypted before it leaves the process: the engine, its dumps and its monitor see ciphertext only."""

import base64
import binascii
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

KEY_BYTES = 32
_NONCE_BYTES = 12
_PLAIN, _SEALED = b"p", b"s"


def parse_keys(value: str) -> list[bytes]:
    """Reads keys of 32 bytes in base64, comma-separated. Raises ValueError; its text holds nothing of a key."""
    keys = []
    for part in value.split(","):
        try:
            key = base64.b64decode(part.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("must be base64, several keys comma-separated") from None
        if len(key) != KEY_BYTES:
            raise ValueError(f"must hold keys of {KEY_BYTES} bytes")
        keys.append(key)
    return keys


class Encryption:
    """Encrypts values by AES-256-GCM-SIV, each bound to the name of its key in the engine.

    keys: the first encrypts, all decrypt, so that keys can be rotated; none: values are stored as they are. Should a
    nonce repeat by chance, that shows no more than whether two values are equal.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [AESGCMSIV(key) for key in keys]

    def encrypt(self, name: bytes, value: bytes) -> bytes:
        """Returns what is stored under that name."""
        if not self._ciphers:
            return _PLAIN + value
        nonce = os.urandom(_NONCE_BYTES)
        return _SEALED + nonce + self._ciphers[0].encrypt(nonce, value, name)

    def decrypt(self, name: bytes, stored: bytes) -> bytes | None:
        """Returns the value; None for garbage, another name's value, an unknown key, plaintext where keys are set."""
        kind, nonce, sealed = stored[:1], stored[1 : 1 + _NONCE_BYTES], stored[1 + _NONCE_BYTES :]
        if not self._ciphers:
            return stored[1:] if kind == _PLAIN else None
        if kind != _SEALED:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, sealed, name)
            except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
                continue
        return None
