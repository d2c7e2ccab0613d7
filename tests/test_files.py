"""Files that settings name: what is not read at all, and what is wrong with a certificate and its key."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from server.files import MAX_BYTES, BrokenFileError, client_context, find_read_error, load_pair, read_file
from testkit.certificate_authority import DNS, Authority, Issued

_CERTIFICATE, _KEY = "CERTIFICATE", "KEY"


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)


NOT_READ = {
    "a-pipe": (os.mkfifo, "is not a regular file"),
    "a-device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "a-folder": (Path.mkdir, "is not a regular file"),
    "too-large": (_large, "holds more than 16 MiB"),
    "nothing": (lambda path: None, "cannot be read"),
}


@pytest.mark.parametrize(("make", "expected"), [pytest.param(*case, id=name) for name, case in NOT_READ.items()])
def test_what_might_never_end_is_not_read(tmp_path: Path, make: Callable[[Path], object], expected: str) -> None:
    """No pipe, no device, no folder, and nothing of a size that no file of settings has."""
    make(path := tmp_path / "file")
    assert find_read_error(path) == expected
    with pytest.raises(OSError, match=r"not a regular file|16 MiB|No such file"):
        read_file(path)
    with pytest.raises(BrokenFileError, match=f"^CA: {expected}$"):
        client_context(path, "CA")


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    """As Kubernetes mounts them."""
    (tmp_path / "file").write_bytes(b"content")
    (link := tmp_path / "link").symlink_to("file")
    assert find_read_error(link) is None
    assert read_file(link) == b"content"


def _encrypted(issued: Issued, form: serialization.PrivateFormat) -> bytes:
    key = serialization.load_pem_private_key(issued.key, None)
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"password"))


def _why(folder: Path, certificate: bytes, key: bytes) -> str:
    (folder / "certificate").write_bytes(certificate)
    (folder / "key").write_bytes(key)
    with pytest.raises(BrokenFileError) as caught:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), folder / "certificate", folder / "key", (_CERTIFICATE, _KEY))
    return str(caught.value)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_refused(tmp_path: Path, form: serialization.PrivateFormat) -> None:
    """In either form of PEM: nobody is there to type its passphrase."""
    issued = Authority().issue(DNS("a"))
    expected = "KEY: is encrypted: store it without a passphrase"
    assert _why(tmp_path, issued.certificate, _encrypted(issued, form)) == expected


def test_files_without_what_they_should_hold_are_refused(tmp_path: Path) -> None:
    """The two exchanged, empty, in DER: the setting that names the file is named."""
    issued = Authority().issue(DNS("a"))
    no_certificate, no_key = (
        "CERTIFICATE: holds no certificates in PEM, or one that is broken",
        "KEY: holds no key in PEM",
    )
    assert _why(tmp_path, issued.key, issued.certificate) == no_certificate
    assert _why(tmp_path, b"", issued.key) == no_certificate
    assert _why(tmp_path, ssl.PEM_cert_to_DER_cert(issued.certificate.decode()), issued.key) == no_certificate
    assert _why(tmp_path, issued.certificate, b"") == no_key
    assert _why(tmp_path, issued.certificate, issued.key[:60]) == no_key


def test_a_key_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Of another certificate, or of one that is not the first of its file."""
    authority = Authority()
    one, other = authority.issue(DNS("a")), authority.issue(DNS("b"))
    assert _why(tmp_path, one.certificate, other.key) == "CERTIFICATE, KEY: the key is not that of the certificate"
    assert _why(tmp_path, authority.pem + one.certificate, one.key) == (
        "CERTIFICATE: the certificate of KEY must be the first in it, those of CAs after it"
    )
