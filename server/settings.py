"""The settings: the only reader of the environment."""

import errno
import os
import re
import socket
import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

PREFIX = "GATEWAY_"


class SettingsError(Exception):
    """Settings are wrong or missing: one line for each, naming it; of values none but an address to listen on."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


class CannotListenError(SettingsError):
    """An address to listen on is taken, or not this machine's."""


class Address(tuple[str, int]):
    """A host and a port to listen on, written `host:port` or `[::1]:port`."""

    __slots__ = ()

    def __str__(self) -> str:
        host, port = self
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        address = _ip_address(self[0])
        return self[0].lower() == "localhost" if address is None else address.is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Whether it is every address of this machine, of both families, whichever of the two it is written in."""
        address = _ip_address(self[0])
        return address is not None and address.is_unspecified


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    """The host's address when it is written as one, in any of the forms that resolvers take: `0` is 0.0.0.0."""
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_address(value: object) -> Address:
    """Reads `host:port`. Raises ValueError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\s\[\]]+)):(\d{1,5})", str(value))
    if match is None or int(match[3]) > 65535:
        raise ValueError("must be host:port, with a port from 0 to 65535")
    host = match[1] or match[2]
    try:
        host.encode("idna")  # as every resolver does, beyond the reach of those who expect OSError
    except UnicodeError:
        raise ValueError("must be host:port, with a host name of parts of 1 to 63 characters") from None
    return Address((host, int(match[3])))


def cannot_listen(name: str, address: Address, error: OSError) -> CannotListenError:
    """What to raise when a setting's address cannot be listened on."""
    if isinstance(error, socket.gaierror):
        why = "the host cannot be resolved"
    elif error.errno == errno.EADDRINUSE:
        why = f"is the port taken? {Address((address[0], 0))} takes a free one"
    else:
        why = os.strerror(error.errno or 0).lower()  # the text of the error itself may be a library's own
    return CannotListenError([f"{name}: cannot listen on {address}; {why}"])


def _no_address(value: str) -> str:
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


def _proxy_url(value: SecretStr) -> SecretStr:
    url, wrong = value.get_secret_value(), "must be http://[user:password@]host:port"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
        if "[" in parts.netloc:
            ip_address(host)
    except ValueError:  # its text may repeat the value
        raise ValueError(wrong) from None
    if parts.scheme != "http" or not port or not re.fullmatch(r"[\w.-]+|.*:.*", host):
        raise ValueError(wrong)
    if parts.path not in ("", "/") or parts.query or parts.fragment or " " in url or not url.isprintable():
        raise ValueError(wrong)
    return value


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


def _is_plain_http_beyond_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not Address((parts.hostname or "", 0)).is_loopback


Listen = Annotated[str, AfterValidator(lambda value: str(parse_address(value)))]
ListenOrOff = Annotated[str, AfterValidator(_no_address)]
ProxyUrl = Annotated[SecretStr, BeforeValidator(_clean), AfterValidator(_proxy_url)]
Secret = Annotated[SecretStr, BeforeValidator(_clean)]
UrlPath = Annotated[str, AfterValidator(_path)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
PollInterval = Annotated[float, Field(ge=0.1, le=86_400, allow_inf_nan=False)]


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != "" or name == "metrics_listen"}


class _Environment(EnvSettingsSource):
    def __call__(self) -> dict[str, Any]:
        return _without_empty(super().__call__())


class Settings(BaseSettings):
    """All settings, checked. Durations are in seconds; `docs/settings.md` describes each."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    secrets_dir: Path | None = None
    listen: Listen = "127.0.0.1:50051"
    metrics_listen: ListenOrOff = "127.0.0.1:9464"
    sandbox_listen: Listen = "127.0.0.1:50080"

    vendor_url: Annotated[str, AfterValidator(_base_url)] | None = None
    vendor_allow_http: bool = False
    vendor_client_id: Annotated[str, BeforeValidator(_clean)] | None = None
    vendor_client_secret: Secret | None = None
    vendor_token_url: Annotated[str, AfterValidator(_base_url)] | None = None
    vendor_token_path: UrlPath = "/authorizer/token"  # noqa: S105 (no password)
    vendor_token_method: Literal["GET", "POST"] = "POST"  # noqa: S105
    vendor_token_auth: Literal["query", "body", "basic"] = "query"  # noqa: S105
    vendor_cancel_path: UrlPath = "/api/v1/call-request/cancel"
    vendor_proxy: ProxyUrl | None = None
    vendor_ca: Path | None = None
    vendor_certificate: Path | None = None
    vendor_key: Path | None = None
    vendor_max_connection_age: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 60.0
    vendor_max_connections: Annotated[int, Field(ge=1, le=10_000)] = 1000
    vendor_connect_timeout: Annotated[float, Field(gt=0, le=30)] = 3.0
    vendor_max_calls_per_second: Annotated[float, Field(ge=0.1, le=100_000)] | None = None
    vendor_timeout: Annotated[float, Field(gt=0, le=30)] = 8.0

    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    callers: Path | None = None
    caller_limits: Literal["enforce", "observe"] = "enforce"
    allow_plaintext: bool = False
    allow_sandbox: bool = False
    reflection: bool = True

    default_max_age: Seconds = 1.0
    final_max_age: Seconds = 3600.0
    cache_bytes: Annotated[int, Field(ge=0, le=1 << 34)] = 100_000_000

    state_url: Secret | None = None
    state_ca: Path | None = None
    state_keys: Secret | None = None
    state_allow_unencrypted: bool = False

    webhook_listen: Listen | None = None
    webhook_secrets: Secret | None = None
    webhook_tokens: Secret | None = None
    webhook_token_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")] = "Authorization"  # noqa: S105 (a name)
    webhook_basic: Secret | None = None
    webhook_allow_unsigned: bool = False
    webhook_sources: str | None = None
    webhook_trusted_proxies: str | None = None
    webhook_tls_certificate: Path | None = None
    webhook_tls_key: Path | None = None
    webhook_tls_client_ca: Path | None = None

    io_niceness: Annotated[int, Field(ge=0, le=19)] = 10
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_reads: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_cancels: Annotated[int, Field(ge=1, le=100_000)] = 100
    max_connection_age: Annotated[float, Field(ge=1, le=86_400)] = 1800.0
    max_streams: Annotated[int, Field(ge=1, le=100_000)] = 128

    max_watches: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    watch_pending_interval: PollInterval = 60.0
    watch_in_progress_interval: PollInterval = 5.0

    drain_delay: Seconds = 5.0
    grace: Seconds = 30.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return _without_empty(values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the files; an empty variable does not hide a file."""
        return init_settings, _Environment(settings_cls), file_secret_settings

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        lines = [
            f"{PREFIX}{name.upper()}: needed, since {PREFIX}VENDOR_URL is set"
            for name in ("vendor_client_id", "vendor_client_secret")
            if self.vendor_url and getattr(self, name) is None
        ]
        lines += [
            f"{PREFIX}{name.upper()}: must be https; http is for loopback, or with {PREFIX}VENDOR_ALLOW_HTTP=true"
            for name in ("vendor_url", "vendor_token_url")
            if (url := getattr(self, name)) and _is_plain_http_beyond_loopback(url) and not self.vendor_allow_http
        ]
        if self.vendor_token_auth == "body" and self.vendor_token_method == "GET":  # noqa: S105
            lines.append(f"{PREFIX}VENDOR_TOKEN_AUTH: body needs {PREFIX}VENDOR_TOKEN_METHOD=POST")
        if (self.vendor_certificate is None) != (self.vendor_key is None):
            lines.append(f"{PREFIX}VENDOR_CERTIFICATE, {PREFIX}VENDOR_KEY: set both or neither")
        if (self.tls_certificate is None) != (self.tls_key is None):
            lines.append(f"{PREFIX}TLS_CERTIFICATE, {PREFIX}TLS_KEY: set both or neither")
        if self.tls_client_ca is not None and self.tls_key is None:
            lines.append(f"{PREFIX}TLS_CLIENT_CA: needs {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY")
        if self.tls_key is None and not self.allow_plaintext and not parse_address(self.listen).is_loopback:
            lines.append(
                f"{PREFIX}LISTEN: beyond loopback it needs {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY, "
                f"or {PREFIX}ALLOW_PLAINTEXT=true"
            )
        credentials = [name for name in _OF_A_VENDOR if getattr(self, name) is not None]
        if self.vendor_url is None and credentials and not self.allow_sandbox:
            # Whoever has credentials means the vendor: its address was forgotten, or its name is misspelt.
            names = " and ".join(PREFIX + name.upper() for name in credentials)
            lines.append(f"{PREFIX}VENDOR_URL: needed beside {names}; for the sandbox {PREFIX}ALLOW_SANDBOX=true")
        elif self.vendor_url is None and not self.allow_sandbox and not parse_address(self.listen).is_loopback:
            # A forgotten setting must not make others believe in results that the sandbox made up.
            lines.append(f"{PREFIX}VENDOR_URL: needed beyond loopback, or {PREFIX}ALLOW_SANDBOX=true")
        if self.vendor_url is None and not (self.allow_sandbox or parse_address(self.sandbox_listen).is_loopback):
            lines.append(f"{PREFIX}SANDBOX_LISTEN: beyond loopback it needs {PREFIX}ALLOW_SANDBOX=true")
        if self.drain_delay and self.drain_delay >= self.grace:
            lines.append(
                f"{PREFIX}DRAIN_DELAY, {PREFIX}GRACE: the delay, 5 unless set, must be shorter: it is a part of GRACE"
            )
        lines += [
            f"{PREFIX}{name.upper()}: cannot be read"
            for name in _FILES
            if (path := getattr(self, name)) is not None and not _is_readable(path)
        ]
        if lines:
            raise SettingsError(lines)
        return self

    def with_vendor(self, url: str, client_id: str, secret: str) -> Self:
        """The same with that vendor, reached directly."""
        vendor = {"vendor_url": url, "vendor_client_id": client_id, "vendor_client_secret": SecretStr(secret)}
        return self.model_copy(update=dict.fromkeys(_OF_A_VENDOR) | vendor | {"secrets_dir": None})

    def secret_files(self, *names: str) -> dict[str, Path]:
        """The files that settings come from, by the names of those fields that come from files of secrets_dir."""
        if self.secrets_dir is None:
            return {}
        from_environment = {name.upper() for name, value in os.environ.items() if value}
        files = {path.name.upper(): path for path in self.secrets_dir.iterdir()}
        wanted = {name: f"{PREFIX}{name.upper()}" for name in names}
        return {name: files[full] for name, full in wanted.items() if full in files and full not in from_environment}


_FILES = (
    *("vendor_ca", "vendor_certificate", "vendor_key"),
    *("state_ca", "tls_certificate", "tls_key", "tls_client_ca", "callers"),
)

_OF_A_VENDOR = (
    *("vendor_client_id", "vendor_client_secret"),
    *("vendor_token_url", "vendor_proxy", "vendor_certificate", "vendor_key"),
)
"""Whoever sets one of these means a vendor, not the sandbox."""


def read_secret(path: Path) -> str:
    """Reads a file of secrets_dir as at the start. Raises ValueError, OSError."""
    return clean_secret(path.read_text("utf-8"))


def defaults() -> str:
    """Each setting as a line, `  GATEWAY_GRACE=30.0`; one without a default ends at the equals sign."""
    values = {name: field.default for name, field in Settings.model_fields.items()}
    texts = {name: "" if value is None else str(value) for name, value in values.items()}
    return "\n".join(f"  {PREFIX}{name.upper()}={_WORDS.get(text, text)}" for name, text in texts.items())


class ShownSetting(NamedTuple):
    """A setting for people to read. value: `set` for a secret that is set, empty without a value."""

    name: str
    value: str
    is_default: bool


def shown(settings: Settings) -> list[ShownSetting]:
    """Returns all settings, as they hold, without secrets and credentials."""
    found = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        is_secret = isinstance(value, SecretStr) or name in _CREDENTIALS
        text = "" if value is None else "set" if is_secret else str(value)
        found.append(ShownSetting(PREFIX + name.upper(), _WORDS.get(text, text), value == field.default))
    return found


_CREDENTIALS = {"vendor_client_id"}
_WORDS = {"True": "true", "False": "false"}


def load_settings(workers: str | None = None) -> Settings:
    """Reads the environment and the files of GATEWAY_SECRETS_DIR. workers: instead of theirs. Raises SettingsError."""
    secrets = os.environ.get(f"{PREFIX}SECRETS_DIR") or None
    if secrets and not Path(secrets).is_dir():
        raise SettingsError([f"{PREFIX}SECRETS_DIR: is no directory"])
    try:
        return Settings(_secrets_dir=secrets, **({} if workers is None else {"workers": workers}))  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError([_line(part) for part in error.errors(include_input=False, include_url=False)]) from None
    except SourceError:
        raise SettingsError([f"{PREFIX}SECRETS_DIR: a file in it cannot be read, or is no UTF-8"]) from None


_VERBOSITY, _SILENT = "GRPC_VERBOSITY", "NONE"


def tune_grpc() -> None:
    """Has gRPC's core listen as it did before its EventEngine, unless GRPC_EXPERIMENTS is set: before grpc is imported.

    With the EventEngine's listener (the default of 1.85) each call takes another change of threads: a fifth more CPU
    for an answer that is known. Both are maintained; the fault suite runs with this one.
    """
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    # Its own lines on stderr are about what clients do: handshakes that fail, headers that are too large.
    os.environ.setdefault(_VERBOSITY, _SILENT)


def let_grpc_report_handshakes() -> bool:
    """Has gRPC's core write a line for each TLS handshake that fails, unless GRPC_VERBOSITY is set; whether it does.

    Before grpc is imported. For CoreLog, which reads those lines.
    """
    if os.environ.get(_VERBOSITY) != _SILENT:
        return False
    os.environ[_VERBOSITY] = "INFO"
    return True


def wants_no_color() -> bool:
    """Whether the user wants no colours in any program's output: NO_COLOR is set, and not empty (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def unused_settings() -> list[str]:
    """Names in the environment that begin like ours and change nothing: misspelt, or for a later version."""
    ours = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    names = {name.upper() for name in os.environ if name.upper().startswith(PREFIX)}
    return sorted(names - ours)


def _is_readable(path: Path) -> bool:
    return path.exists() and not path.is_dir() and os.access(path, os.R_OK)  # a pipe is as good as a file


def _line(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"])).upper()
    return f"{PREFIX}{name}: {error['msg'].removeprefix('Value error, ')}"
