"""From settings to a webhook."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import BrokenFileError
from ..observability.line_limit import LineLimit
from ..observability.logs import get_log
from ..reading.results import Results
from ..reloading import Reloading, Watched
from ..settings import PREFIX, Settings, SettingsError, parse_address
from ..vendor_api.quirks import Observations
from .endpoint import Webhook
from .hints import Hints
from .outcomes import APPLIED
from .pushes import Pushes
from .sender_files import SenderFiles
from .senders import SenderRules, Senders
from .sources import Network, Sources, parse_networks
from .stores import LocalStore, SharedStore
from .tls_files import CLIENT_CA, PAIR, WebhookTlsFiles

if TYPE_CHECKING:
    from ..state.shared_results import SharedResults


MAX_LINES = 20
"""Lines about pushes, of each outcome but `applied`, in a LineLimit's interval. An applied one is signed, and new."""


class OpenedWebhook:
    """A webhook of these settings: start it, and end it with `aclose`.

    rules: the ways to know senders. tls: of its port; None: plaintext. lines: bounds those about pushes.
    """

    def __init__(
        self,
        webhook: Webhook,
        hints: Hints,
        rules: Reloading[SenderRules],
        tls: Reloading[ssl.SSLContext] | None,
        lines: LineLimit,
        settings: Settings,
    ) -> None:
        self._webhook = webhook
        self._hints = hints
        self._rules = rules
        self._tls = tls
        self._lines = lines
        self._settings = settings

    async def start(self) -> str:
        """Listens; returns the address. Raises SettingsError."""
        address = parse_address(self._settings.webhook_listen)
        tls = None if self._tls is None else self._tls.value
        return str(await self._webhook.start(address, tls, shared=self._settings.workers > 1))

    def watched(self, note_dates: Callable[[Mapping[str, Path | None]], None]) -> list[Watched[Any]]:
        """The files that are to be read again when they change.

        note_dates: receives the files of certificates by their settings, now and whenever they were read again.
        """
        found: list[Watched[Any]] = []
        senders, tls = SenderFiles(self._settings).files, tls_files(self._settings)
        if senders:
            found.append(Watched(senders.settings, self._rules, self._webhook.renew_senders))
        if tls is not None and self._tls is not None:
            certificates = tls.certificates

            def renew(context: ssl.SSLContext) -> None:
                self._webhook.renew_tls(context)
                note_dates(certificates)

            note_dates(certificates)
            found.append(Watched(tls.settings, self._tls, renew))
        return found

    async def aclose(self) -> None:
        """Takes nothing any more, and reads nothing again."""
        await self._webhook.aclose()
        await self._hints.aclose()
        self._lines.flush()


def open_webhook(
    settings: Settings,
    results: Results,
    shared: "SharedResults | None",
    observed: Callable[[Observations], None],
    counted: Callable[[str], None],
) -> OpenedWebhook:
    """Raises SettingsError, a line for each wrong setting. observed, counted: receive what metrics count of a push."""
    rules, sources, tls = sender_rules(settings)
    lines = LineLimit("pushes that are not logged", MAX_LINES)

    def taken(outcome: str, call_request_id: str, is_known: bool) -> None:
        counted(outcome)
        # Neither must strangers fill the log, nor whoever sends hints: anybody, where WEBHOOK_ALLOW_UNSIGNED is set.
        if is_known and (outcome == APPLIED or lines.admits(outcome)):
            known = {"call_request_id": call_request_id} if call_request_id else {}
            get_log().info("webhook", outcome=outcome, **known)

    hints = Hints(results.read)
    pushes = Pushes(LocalStore(results) if shared is None else SharedStore(shared), hints, observed)
    webhook = Webhook(Senders(rules.value), sources, pushes, taken)
    return OpenedWebhook(webhook, hints, rules, tls, lines, settings)


def sender_rules(
    settings: Settings,
) -> tuple[Reloading[SenderRules], Sources, Reloading[ssl.SSLContext] | None]:
    """Returns the ways to know senders, where they may be, and TLS of the port; None for plaintext.

    Raises SettingsError, a line for each wrong setting.
    """
    lines: list[str] = []
    rules = _rules(settings, lines)
    networks = _networks("WEBHOOK_SOURCES", settings.webhook_sources, lines)
    proxies = _networks("WEBHOOK_TRUSTED_PROXIES", settings.webhook_trusted_proxies, lines)
    if rules is not None and not rules.value.know_anybody and not lines:
        lines.append(
            f"{PREFIX}WEBHOOK_SECRETS: needed, or another way to know senders ({PREFIX}WEBHOOK_TOKENS, "
            f"{PREFIX}WEBHOOK_BASIC, {PREFIX}WEBHOOK_TLS_CLIENT_CA), or {PREFIX}WEBHOOK_ALLOW_UNSIGNED=true"
        )
    tls = _tls(settings, lines)
    if lines or rules is None:
        raise SettingsError(lines)
    return rules, Sources(networks, proxies), tls


def _rules(settings: Settings, lines: list[str]) -> Reloading[SenderRules] | None:
    senders = SenderFiles(settings)
    try:
        return Reloading(senders.files.paths, senders.load)
    except BrokenFileError as error:
        lines += str(error).split("\n")
        return None


def _networks(name: str, value: str | None, lines: list[str]) -> list[Network]:
    try:
        return parse_networks(value) if value else []
    except ValueError as error:
        lines.append(f"{PREFIX}{name}: {error}")
        return []


def _tls(settings: Settings, lines: list[str]) -> Reloading[ssl.SSLContext] | None:
    files = tls_files(settings)
    if files is not None:
        try:
            return Reloading(files.paths, files.load)
        except BrokenFileError as error:
            lines += str(error).split("\n")
    elif settings.webhook_tls_certificate is not None or settings.webhook_tls_key is not None:
        lines.append(f"{PAIR}: set both or neither")
    elif settings.webhook_tls_client_ca is not None:
        lines.append(f"{CLIENT_CA}: needs {PAIR}")
    elif not parse_address(settings.webhook_listen).is_loopback and not settings.allow_plaintext:
        lines.append(f"{PREFIX}WEBHOOK_LISTEN: beyond loopback it needs {PAIR}, or {PREFIX}ALLOW_PLAINTEXT=true")
    return None


def tls_files(settings: Settings) -> WebhookTlsFiles | None:
    """The files of TLS on the port; None without a certificate and its key."""
    if settings.webhook_tls_certificate is None or settings.webhook_tls_key is None:
        return None
    return WebhookTlsFiles(settings.webhook_tls_certificate, settings.webhook_tls_key, settings.webhook_tls_client_ca)
