"""All settings, from the environment and from files of secrets."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from ..files import find_read_error
from .addresses import Address, parse_address
from .errors import SettingsError
from .names import PREFIX, unreadable_secrets, unused_names
from .secret_files import SecretFiles
from .values import (
    BaseUrl,
    CollectorUrl,
    Listen,
    ListenOrOff,
    PollInterval,
    ProxyUrl,
    Seconds,
    Secret,
    Text,
    UrlPath,
    is_plain_http_beyond_loopback,
)


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

    vendor_url: BaseUrl | None = None
    vendor_allow_http: bool = False
    vendor_client_id: Text | None = None
    vendor_client_secret: Secret | None = None
    vendor_token_url: BaseUrl | None = None
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

    otlp_endpoint: CollectorUrl | None = None
    trace_sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01

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
            *self._wrong_vendor(),
            *self._wrong_tls(),
            *self._wrong_sandbox(),
            *self._shared_ports(),
            *self._wrong_drain(),
            *self._unreadable_files(),
        ]
        if lines:
            raise SettingsError(lines)
        return self

    def _wrong_vendor(self) -> Iterator[str]:
        for name in ("vendor_client_id", "vendor_client_secret"):
            if self.vendor_url and getattr(self, name) is None:
                yield f"{PREFIX}{name.upper()}: needed, since {PREFIX}VENDOR_URL is set"
        for name in ("vendor_url", "vendor_token_url"):
            if (url := getattr(self, name)) and is_plain_http_beyond_loopback(url) and not self.vendor_allow_http:
                yield (
                    f"{PREFIX}{name.upper()}: must be https; "
                    f"http is for loopback, or with {PREFIX}VENDOR_ALLOW_HTTP=true"
                )
        if self.vendor_token_auth == "body" and self.vendor_token_method == "GET":  # noqa: S105
            yield f"{PREFIX}VENDOR_TOKEN_AUTH: body needs {PREFIX}VENDOR_TOKEN_METHOD=POST"
        if (self.vendor_certificate is None) != (self.vendor_key is None):
            yield f"{PREFIX}VENDOR_CERTIFICATE, {PREFIX}VENDOR_KEY: set both or neither"

    def _wrong_tls(self) -> Iterator[str]:
        if (self.tls_certificate is None) != (self.tls_key is None):
            yield f"{PREFIX}TLS_CERTIFICATE, {PREFIX}TLS_KEY: set both or neither"
        if self.tls_client_ca is not None and self.tls_key is None:
            yield f"{PREFIX}TLS_CLIENT_CA: needs {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY"
        if self.tls_key is None and not self.allow_plaintext and not parse_address(self.listen).is_loopback:
            yield (
                f"{PREFIX}LISTEN: beyond loopback it needs {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY, "
                f"or {PREFIX}ALLOW_PLAINTEXT=true"
            )

    def _wrong_sandbox(self) -> Iterator[str]:
        """Lines for a sandbox that would play the vendor where a vendor was meant, or for others than this machine."""
        if self.vendor_url is not None or self.allow_sandbox:
            return
        if credentials := [name for name in _OF_A_VENDOR if getattr(self, name) is not None]:
            # Whoever has credentials means the vendor: its address was forgotten, or its name is misspelt.
            names = " and ".join(PREFIX + name.upper() for name in credentials)
            yield f"{PREFIX}VENDOR_URL: needed beside {names}; for the sandbox {PREFIX}ALLOW_SANDBOX=true"
        elif not parse_address(self.listen).is_loopback:
            # A forgotten setting must not make others believe in results that the sandbox made up.
            yield f"{PREFIX}VENDOR_URL: needed beyond loopback, or {PREFIX}ALLOW_SANDBOX=true"
        if not parse_address(self.sandbox_listen).is_loopback:
            yield (
                f"{PREFIX}SANDBOX_LISTEN: beyond loopback it needs {PREFIX}ALLOW_SANDBOX=true, "
                f"unless {PREFIX}VENDOR_URL is set"
            )

    def _wrong_drain(self) -> Iterator[str]:
        if self.drain_delay and self.drain_delay >= self.grace:
            yield f"{PREFIX}DRAIN_DELAY, {PREFIX}GRACE: the delay, 5 unless set, must be shorter: it is a part of GRACE"

    def _unreadable_files(self) -> Iterator[str]:
        for name in _FILES:
            if (path := getattr(self, name)) is not None and (why := find_read_error(path)) is not None:
                yield f"{PREFIX}{name.upper()}: {why}"

    @model_validator(mode="wrap")
    @classmethod
    def _all_at_once(cls, values: dict[str, Any], validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Reports what does not fit together beside what is wrong in itself: nobody should have to start twice."""
        try:
            return validate(values)
        except ValidationError as error:
            lines = [_line(part) for part in error.errors(include_input=False, include_url=False)]
        wrong = [line.partition(":")[0] for line in lines]
        try:
            validate({name: value for name, value in values.items() if f"{PREFIX}{name.upper()}" not in wrong})
        except SettingsError as error:
            # Of those that were left out, nothing is known.
            lines += [line for line in error.lines if not any(re.search(rf"{name}\b", line) for name in wrong)]
        raise SettingsError(lines)

    def _shared_ports(self) -> Iterator[str]:
        """A line for each address to listen on that another one holds already."""
        found: dict[str, Address] = {}
        for name, address in self.listened().items():
            other = next((known for known, each in found.items() if each.overlaps(address)), None)
            if other is not None:
                unless = f", unless {PREFIX}VENDOR_URL is set" if name == "sandbox_listen" else ""
                yield f"{PREFIX}{name.upper()}: has the port of {PREFIX}{other.upper()}{unless}"
            found[name] = address

    def listened(self) -> dict[str, Address]:
        """The addresses to listen on, by their fields; the sandbox's only where it plays the vendor."""
        names = ["listen", "metrics_listen", "webhook_listen"] + ([] if self.vendor_url else ["sandbox_listen"])
        return {name: parse_address(value) for name in names if (value := getattr(self, name))}

    def with_vendor(self, url: str, client_id: str, secret: str) -> Self:
        """The same with that vendor, reached directly."""
        vendor = {"vendor_url": url, "vendor_client_id": client_id, "vendor_client_secret": SecretStr(secret)}
        return self.model_copy(update=dict.fromkeys(_OF_A_VENDOR) | vendor | {"secrets_dir": None})

    def secret_files(self, *names: str) -> SecretFiles:
        """The files that settings come from, by the names of those fields that come from files of secrets_dir."""
        if self.secrets_dir is None:
            return SecretFiles()
        from_environment = {name.upper() for name, value in os.environ.items() if value}
        files = {path.name.upper(): path for path in self.secrets_dir.iterdir()}
        wanted = {name: f"{PREFIX}{name.upper()}" for name in names}
        return SecretFiles(
            {name: files[full] for name, full in wanted.items() if full in files and full not in from_environment}
        )


_FILES = (
    *("vendor_ca", "vendor_certificate", "vendor_key"),
    *("state_ca", "tls_certificate", "tls_key", "tls_client_ca", "callers"),
    *("webhook_tls_certificate", "webhook_tls_key", "webhook_tls_client_ca"),
)

_OF_A_VENDOR = (
    *("vendor_client_id", "vendor_client_secret"),
    *("vendor_token_url", "vendor_proxy", "vendor_certificate", "vendor_key"),
)
"""Whoever sets one of these means a vendor, not the sandbox."""


def load_settings(workers: str | None = None) -> Settings:
    """Reads the environment and the files of GATEWAY_SECRETS_DIR. workers: instead of theirs. Raises SettingsError."""
    secrets = os.environ.get(f"{PREFIX}SECRETS_DIR") or None
    if secrets and not Path(secrets).is_dir():
        raise SettingsError([f"{PREFIX}SECRETS_DIR: is not a directory"])
    if secrets and (lines := unreadable_secrets(Path(secrets), _NAMES)):
        raise SettingsError(lines)
    try:
        return Settings(_secrets_dir=secrets, **({} if workers is None else {"workers": workers}))  # type: ignore[arg-type]
    except SourceError:  # it has changed since
        raise SettingsError([f"{PREFIX}SECRETS_DIR: a file in it cannot be read, or is no UTF-8"]) from None


def own_address() -> str:
    """GATEWAY_LISTEN as the environment has it, whatever the other settings are. Raises SettingsError."""
    name = f"{PREFIX}LISTEN"
    listen = os.environ.get(name) or str(Settings.model_fields["listen"].default)
    try:
        return str(parse_address(listen))
    except ValueError as error:
        raise SettingsError([f"{name}: {error}"]) from None


def unused_settings() -> list[str]:
    """Names in the environment and of files of GATEWAY_SECRETS_DIR that begin like ours and change nothing.

    They are misspelt, or for a later version.
    """
    return unused_names(PREFIX, _NAMES, os.environ, os.environ.get(f"{PREFIX}SECRETS_DIR") or None)


_NAMES = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def _line(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"])).upper()
    return f"{PREFIX}{name}: {error['msg'].removeprefix('Value error, ')}"
