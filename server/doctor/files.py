"""The files that settings name: who may read them, the dates in them, what they hold."""

import math
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509

from ..files import BrokenFileError, read_file, why_unreadable
from ..observability.certificate_end import DAY, WARNING_DAYS
from ..rpc.callers_file import read_rules
from ..rpc.certificates import Certificates
from ..settings import PREFIX, Settings, SettingsError
from ..vendor_api.tls_files import TlsFiles
from .finding import Finding

CERTIFICATES = (
    *("tls_certificate", "tls_client_ca", "vendor_certificate", "vendor_ca", "state_ca"),
    *("webhook_tls_certificate", "webhook_tls_client_ca"),
)
KEYS = ("tls_key", "vendor_key", "webhook_tls_key")

_MOMENT = "%Y-%m-%d %H:%M UTC"


def check_permissions(settings: Settings) -> Iterator[Finding]:
    """Files with secrets: nobody else may read them, and no file may be changed by everybody."""
    secret = [(f"{PREFIX}{name.upper()}", getattr(settings, name)) for name in KEYS]
    if settings.secrets_dir is not None:
        names = [name for name in Settings.model_fields if name != "secrets_dir"]
        secret += [(f"{PREFIX}SECRETS_DIR", path) for path in settings.secret_files(*names).values()]
    others = [(f"{PREFIX}{name.upper()}", getattr(settings, name)) for name in (*CERTIFICATES, "callers")]
    looked_at, wrong = 0, []
    folders: dict[Path, str] = {}
    for setting, path in [*secret, *others]:
        if path is None:
            continue
        looked_at += 1
        try:
            mode = path.stat().st_mode
        except OSError:
            wrong.append(f"{setting}: {path} cannot be read")
            continue
        folders.setdefault(path.parent, setting)
        if mode & stat.S_IWOTH:
            wrong.append(f"{setting}: every user may change {path}: chmod o-w")
        elif (setting, path) in secret and mode & stat.S_IROTH:
            wrong.append(f"{setting}: every user may read {path}: chmod o-rwx; in Kubernetes defaultMode: 0440")
    wrong += [
        f"{setting}: every user may replace the files in {folder}: chmod o-w"
        for folder, setting in folders.items()
        if _is_writable_by_all(folder)
    ]
    yield from (Finding.failed("files", text) for text in wrong)
    if not looked_at:
        yield Finding.skipped("files", "no setting names any")
    elif not wrong:
        yield Finding.ok("files", f"{looked_at} can be read; those with secrets not by every user")


def _is_writable_by_all(folder: Path) -> bool:
    """Whether every user may replace its files: not where it is sticky, as /tmp is."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def check_certificates(settings: Settings, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """The days that are left of each certificate, and whether pairs fit. now: seconds since 1970."""
    broken = broken_certificates(settings)
    yield from (Finding.failed("certificates", line) for line in broken)
    paths = {name: path for name in CERTIFICATES if (path := getattr(settings, name)) is not None}
    for name, path in paths.items():
        setting = f"{PREFIX}{name.upper()}"
        if not any(setting in line for line in broken):
            yield _dates(setting, path, now())
    if not paths:
        yield Finding.skipped("certificates", "no setting names any")


def broken_certificates(settings: Settings) -> list[str]:
    """A line for each file of certificates that cannot be used, those of the webhook and of the engine aside."""
    broken: list[str] = []
    if settings.tls_certificate is not None and settings.tls_key is not None:
        try:
            Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        except SettingsError as error:
            broken += error.lines
    try:
        TlsFiles(settings.vendor_ca, settings.vendor_certificate, settings.vendor_key).load()
    except BrokenFileError as error:
        broken.append(str(error))
    return broken


def _dates(setting: str, path: Path, now: float) -> Finding:
    try:
        certificates = x509.load_pem_x509_certificates(read_file(path))
    except OSError as error:
        return Finding.failed("certificates", f"{setting}: {why_unreadable(error)}")
    except ValueError:
        return Finding.failed("certificates", f"{setting}: holds no certificates in PEM, or one that is broken")
    ends = min(each.not_valid_after_utc for each in certificates)
    begins = max(each.not_valid_before_utc for each in certificates)
    left = ends.timestamp() - now
    if begins.timestamp() > now:
        text = (
            f"{setting}: not valid before {begins:{_MOMENT}}, in {_span(begins.timestamp() - now)}; is the clock right?"
        )
        return Finding.failed("certificates", text)
    if left < 0:
        return Finding.failed("certificates", f"{setting}: ended {_span(-left)} ago, {ends:{_MOMENT}}: replace it")
    if left < WARNING_DAYS * DAY:
        return Finding.failed("certificates", f"{setting}: ends in {_span(left)}, {ends:{_MOMENT}}: replace it")
    return Finding.ok("certificates", f"{setting}: {math.floor(left / DAY)} days left, until {ends:{_MOMENT}}")


def _span(seconds: float) -> str:
    """In words, of the unit of which there are at least two: `10 min`, `3 days`."""
    for unit, name in ((DAY, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def check_callers(settings: Settings) -> Finding:
    """The file of who may call what."""
    if settings.callers is None:
        whoever = "with a certificate of GATEWAY_TLS_CLIENT_CA" if settings.tls_client_ca else "that can connect"
        return Finding.skipped("callers", f"GATEWAY_CALLERS is not set: everybody {whoever} may call")
    try:
        rules = read_rules(settings.callers)
    except BrokenFileError as error:
        return Finding.failed("callers", f"GATEWAY_CALLERS: {error}")
    if rules.by_san and settings.tls_client_ca is None:
        return Finding.failed(
            "callers", "GATEWAY_CALLERS: callers with a certificate are known only with GATEWAY_TLS_CLIENT_CA: set it"
        )
    return Finding.ok("callers", f"{len(rules.callers)} callers")
