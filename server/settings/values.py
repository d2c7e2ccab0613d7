"""Kinds of values: addresses, URLs, paths, secrets, times. Each raises ValueError when it is wrong."""

import re
import unicodedata
from collections.abc import Collection
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from .addresses import Address, parse_address


def _address_or_empty(value: str) -> str:
    if value:
        parse_address(value)
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/{}-]*", value) or ".." in value or re.sub(r"\{id\}", "", value).count("{"):
        raise ValueError("must be a path: it begins with / and may hold letters, digits and . _ ~ - /")
    return value


def _base_url(value: str) -> str:
    wrong = "must be an https:// address, without query and blanks"
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 (raises ValueError for a wrong one)
        host = parts.hostname or ""
        host.encode("idna")
        if "[" in parts.netloc:
            ip_address(host)
    except ValueError:  # its text may repeat the value
        raise ValueError(wrong) from None
    if " " in value or not value.isprintable():  # urlsplit passes over some of them
        raise ValueError(wrong)
    if parts.scheme not in ("https", "http") or not re.fullmatch(r"[\w.-]+|.*:.*", host):
        raise ValueError(wrong)
    if parts.query or parts.fragment:
        raise ValueError(wrong)
    if parts.username or parts.password:
        raise ValueError("must not hold credentials")
    return value


_PROXY_FORM = "must be http://[user:password@]host:port, with special characters of user and password percent-encoded"


def _proxy_url(value: SecretStr) -> SecretStr:
    parts = _origin(value.get_secret_value(), ("http",), _PROXY_FORM)
    if b":" in unquote_to_bytes(parts.username or ""):
        raise ValueError("must have a user without a colon")  # RFC 7617, 2: the password would begin there
    return value


def _collector_url(value: str) -> str:
    parts = _origin(value, ("http", "https"), "must be http://host:port or https://host:port")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials")
    return value.rstrip("/")


def _origin(url: str, schemes: Collection[str], wrong: str) -> SplitResult:
    """The parts of a URL of a scheme, a host and a port, and nothing else but credentials. wrong: what is raised."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
        if "[" in parts.netloc:
            ip_address(host)
    except ValueError:  # its text may repeat the value
        raise ValueError(wrong) from None
    if parts.scheme not in schemes or not port or not re.fullmatch(r"[\w.-]+|.*:.*", host):
        raise ValueError(wrong)
    if parts.path not in ("", "/") or parts.query or parts.fragment or " " in url or not url.isprintable():
        raise ValueError(wrong)
    return parts


def clean_secret(text: str) -> str:
    """Returns it without what editors and tools put around it: blanks, line breaks, a byte order mark.

    Raises ValueError when nothing is left, and when it holds what nobody types: another file was meant, or two secrets.
    """
    secret = _MARGINS.sub("", text)
    if not secret:
        raise ValueError("is empty but for blanks")
    if any(unicodedata.category(character) in _NEVER_TYPED for character in secret):
        raise ValueError("holds control characters within it")
    return secret


_MARGINS = re.compile(r"^[\s\ufeff]+|[\s\ufeff]+$")
_NEVER_TYPED = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of characters (bytes that are no UTF-8), breaks of lines


def _clean(value: object) -> object:
    if isinstance(value, SecretStr):
        return SecretStr(clean_secret(value.get_secret_value()))
    return clean_secret(value) if isinstance(value, str) else value


def is_plain_http_beyond_loopback(url: str) -> bool:
    """Whether what is sent to that URL leaves this machine unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not Address((parts.hostname or "", 0)).is_loopback


Listen = Annotated[str, AfterValidator(lambda value: str(parse_address(value)))]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
CollectorUrl = Annotated[str, AfterValidator(_collector_url)]
ListenOrOff = Annotated[str, AfterValidator(_address_or_empty)]
ProxyUrl = Annotated[SecretStr, BeforeValidator(_clean), AfterValidator(_proxy_url)]
Secret = Annotated[SecretStr, BeforeValidator(_clean)]
UrlPath = Annotated[str, AfterValidator(_path)]
Text = Annotated[str, BeforeValidator(_clean)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
PollInterval = Annotated[float, Field(ge=0.1, le=86_400, allow_inf_nan=False)]
