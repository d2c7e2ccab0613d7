"""The status page: one HTML page of what an operator wants to know first, without scripts and without personal data.

It is made of the settings and the metrics alone: so it is one page for all workers, and holds nothing that a metric may
not hold.
"""

import base64
import hashlib
import platform
import time
from collections.abc import Callable, Mapping

from .. import __version__
from ..settings import Settings, parse_address
from . import status_sections as sections
from .history import DAY, RECENT, History
from .html import Html, mark, tag
from .samples import Samples
from .status_sections import Facts
from .status_style import STYLE
from .status_units import duration, moment, number

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but the page's own style is loaded or run, whatever the page holds."""

_SECTIONS: tuple[tuple[str, bool, Callable[[Facts], Html]], ...] = (
    ("Vendor", False, sections.vendor),
    ("Calls", True, sections.calls),
    ("Processes", False, sections.processes),
    ("Cache", True, sections.cache),
    ("Cancels", True, sections.cancels),
    ("Watches", True, sections.watches),
    ("Callers", True, sections.callers),
    ("Quirks of the vendor", True, sections.quirks),
    ("Unknown words of the vendor", True, sections.unknown_words),
    ("Certificates and files", False, sections.files),
    ("Shared state", False, sections.state),
    ("Webhook", True, sections.webhook),
)
"""Title, whether it is about the last day, contents."""


class StatusPage:
    """The page of a gateway with these settings. quirks: the vendor's, by number, each as a sentence."""

    def __init__(self, settings: Settings, quirks: Mapping[str, str]) -> None:
        self._settings = settings
        self._quirks = quirks

    def html(self, counted: Samples, history: History, log_level: str, *, is_ready: bool) -> str:
        """The page, of what is counted now."""
        day, length = history.during(DAY, counted)
        recent, _ = history.during(RECENT, counted)
        facts = Facts(self._settings, time.time(), counted, day, recent, self._quirks)
        started = min(counted.by("process", "process_start_time_seconds").values(), default=facts.now)
        of_day = "last 24 hours" if length > DAY - RECENT else "since the start"
        cards = [_card(title, of_day if is_of_day else "", contents(facts)) for title, is_of_day, contents in _SECTIONS]
        state = mark("good", "serving") if is_ready else mark("bad", "draining")
        versions = f"{__version__}, Python {platform.python_version()}"
        lines = f"up for {duration(facts.now - started)} · {moment(facts.now)} UTC, as all times here"
        head = tag("header", tag("h1", "call-request-gateway ", state), tag("p", f"{versions} · {lines}"))
        body = tag("body", head, tag("main", *cards), _log(log_level, facts), _settings(facts))
        title = tag("title", f"call-request-gateway: {'serving' if is_ready else 'draining'}")
        meta = Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">')
        return f'<!DOCTYPE html>\n<html lang="en">{tag("head", meta, title, tag("style", Html(STYLE)))}{body}</html>\n'


def _card(title: str, when: str, contents: Html) -> Html:
    return tag("section", tag("h2", title, " ", tag("small", when)), contents)


def _log(level: str, facts: Facts) -> Html:
    _, port = parse_address(facts.settings.metrics_listen)
    command = tag("code", f"curl -d level=debug http://127.0.0.1:{port}/log-level")
    lost, dropped = (facts.counted.total(name) for name in ("log_lines_lost_total", "trace_spans_dropped_total"))
    lines = [tag("p", "The log's level is ", tag("b", level), ". On this machine: ", command)]
    if lost:
        lines.append(tag("p", mark("bad", f"{number(lost)} lines of the log were lost")))
    if facts.settings.otlp_endpoint is not None:
        ratio = f"{facts.settings.trace_sample_ratio:.2%} of calls, unless their callers decide, to "
        lines.append(tag("p", "Traces: ", ratio, tag("code", facts.settings.otlp_endpoint)))
    if dropped:
        lines.append(tag("p", mark("bad", f"{number(dropped)} spans of traces were not sent")))
    return tag("section", tag("h2", "Log and traces"), *lines)


def _settings(facts: Facts) -> Html:
    return tag("details", tag("summary", "Settings"), sections.settings(facts))
