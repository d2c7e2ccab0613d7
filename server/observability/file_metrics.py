"""The metrics of files that are read again while the gateway runs, and of the certificates in them."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge


class FileMetrics:
    """Counts readings of files, and holds when their certificates end, by the settings that name the files."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, documentation: str) -> Gauge:
            return Gauge(name, documentation, ("settings",), registry=registry, multiprocess_mode="livemin")

        self._reloads = Counter(
            "file_reloads", "Changed files, by what became of them.", ("settings", "outcome"), registry=registry
        )
        self._are_good = gauge(
            "file_reload_success", "1 if the files were good when they were read last, 0 while older contents hold."
        )
        self._read_at = gauge("file_reload_success_timestamp_seconds", "When the files were last read and good.")
        self._certificate_ends = gauge(
            "certificate_expiry_timestamp_seconds", "When the first of the certificates of these settings ends."
        )

    def begin(self, settings: str) -> None:
        """Begins the series of files that were read now, and will be read again."""
        for outcome in ("loaded", "broken"):
            self._reloads.labels(settings, outcome)
        self._are_good.labels(settings).set(1)
        self._read_at.labels(settings).set(time.time())

    def files_reloaded(self, settings: str, *, success: bool) -> None:
        """Counts that changed files were read again."""
        self._reloads.labels(settings, "loaded" if success else "broken").inc()
        self._are_good.labels(settings).set(success)
        if success:
            self._read_at.labels(settings).set(time.time())

    def certificates_end(self, settings: str, ends: float) -> None:
        """Sets when the first certificate of these settings ends, in seconds since 1970."""
        self._certificate_ends.labels(settings).set(ends)
