"""The sandbox's page for people: its call requests, their lives on the clock, and buttons for what its paths do.

What a button sends is what a test would send. Everything that is no markup of ours is escaped: ids, paths and statuses
may be anybody's text.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .call_requests import CallRequest
from .clock import timestamp
from .dialect import Status
from .fault_queue import ANY, OPERATIONS
from .faults import FAULTS
from .page_parts import SCRIPT, STYLE
from .pushes import Pushes
from .state import State

MAX_ROWS = 500
"""Call requests on the page: all that are there from the start, and the latest of those that were created."""
_LATEST = 15
_ADVANCES = (("10 s", 10), ("1 min", 60), ("10 min", 600), ("1 h", 3600), ("1 day", 86_400))


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # no other page may lay itself over the buttons
}
"""Of its response: only the page's own style and script, and no frame of another page."""


def page(state: State, pushes: Pushes) -> str:
    """The page, of the state as it is now."""
    now, report = state.clock.now(), state.request_log.report()
    known = list(state.call_requests.values())
    shown = [*known] if len(known) <= MAX_ROWS else [*known[-(MAX_ROWS // 2) :], *known[: MAX_ROWS // 2]]
    shown.sort(key=lambda each: each.life is None)  # first what moves
    counts = ", ".join(f"{count} {operation}" for operation, count in report["counts"].items())
    cards = (
        _card("Clock", f"<p><b>{timestamp(now)}</b></p>" + _buttons(_advances()) + _fixed()),
        _card("A new call request", _create()),
        _card("A fault for any call request", _fault(len(state.faults)) + _planned(state.faults.report())),
        _card("Requests", f"<p>{counts}</p>" + _requests(report["requests"])),
        _card("Pushes", _pushes(pushes.report())),
    )
    rows = "".join(_row(each, now) for each in shown)
    left_out = f"<p class=quiet>{len(known) - len(shown)} more are not shown.</p>" if len(shown) < len(known) else ""
    table = (
        '<section><h2>Call requests</h2><input id="filter" type="search" placeholder="id, status or purpose" '
        'aria-label="Show those with"><table>'
        "<thead><tr><th>id<th>status<th>life<th>purpose</tr></thead>"
        f'<tbody id="rows">{rows}</tbody></table>{left_out}</section>'
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>The sandbox</title>'
        f"<style>{STYLE}</style></head><body><header><h1>The sandbox</h1><p>It plays the vendor. Nothing here is real."
        f'</p><p id="said" role="alert"></p></header><main>{"".join(cards)}</main>{table}<script>{SCRIPT}</script>'
        "</body></html>\n"
    )


def _card(title: str, contents: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{contents}</section>"


def _button(label: str, method: str, path: str, body: Any = None) -> str:
    given = "" if body is None else f' data-body="{escape(json.dumps(body))}"'
    return f'<button data-method="{method}" data-path="{path}"{given}>{escape(label)}</button>'


def _buttons(buttons: Iterable[str]) -> str:
    return f'<p class="buttons">{"".join(buttons)}</p>'


def _advances() -> list[str]:
    return [_button(f"+ {label}", "POST", "/sandbox/clock", {"advance": seconds}) for label, seconds in _ADVANCES]


def _fixed() -> str:
    return _buttons(
        (
            _button("Revoke all tokens", "POST", "/sandbox/tokens/revoke"),
            _button("Reset everything", "POST", "/sandbox/reset"),
        )
    )


def _select(name: str, words: Sequence[str], label: str, first: str | None = None) -> str:
    options = [] if first is None else [f'<option value="">{escape(first)}</option>']
    options += [f"<option>{escape(word)}</option>" for word in words]
    return f'<label>{escape(label)} <select name="{name}">{"".join(options)}</select></label>'


def _number(name: str, label: str, placeholder: str = "") -> str:
    given = f'name="{name}" type="number" step="any" placeholder="{escape(placeholder)}"'
    return f"<label>{escape(label)} <input {given}></label>"


def _create() -> str:
    return (
        '<form data-method="POST" data-path="/sandbox/call-requests">'
        '<label>id <input name="id" maxlength="16" placeholder="a new one"></label>'
        + _select("status", [each.value for each in Status], "status", "by the clock")
        + _number("call_in", "phoned in, s", "3600")
        + _number("call_takes", "takes, s", "60")
        + _select("fault", list(FAULTS), "fault", "none")
        + '<p class="buttons"><button>Create</button></p></form>'
    )


def _fault(planned: int) -> str:
    return (
        '<form data-method="POST" data-path="/sandbox/faults">'
        + _select("fault", list(FAULTS), "fault")
        + _select("operation", (*OPERATIONS, ANY), "operation", ANY)
        + _number("times", "times", "always")
        + _number("seconds", "seconds")
        + '<p class="buttons"><button>Plan it</button>'
        + _button(f"Clear all {planned}", "DELETE", "/sandbox/faults")
        + "</p></form>"
    )


def _planned(faults: Sequence[dict[str, Any]]) -> str:
    """The faults that are left, in the order in which they apply."""
    left = [each for each in faults if each["times"] is None or each["taken"] < each["times"]]
    rows = "".join(
        f"<tr><td>{each['fault']}<td>{each['operation']}<td>"
        + ("always" if each["times"] is None else f"{each['times'] - each['taken']} more")
        + ("</tr>" if each["seconds"] is None else f", {each['seconds']:g} s</tr>")
        for each in left[:_LATEST]
    )
    return f"<table><tbody>{rows}</tbody></table>" if rows else ""


def _requests(requests: Sequence[dict[str, Any]]) -> str:
    if not requests:
        return '<p class="quiet">None yet.</p>'
    rows = "".join(
        f"<tr><td>{escape(each['time'][11:19])}<td>{escape(each['operation'])}"
        f'<td class="long"><code>{escape(each["call_request_id"] or each["method"] + " " + each["path"])}</code></tr>'
        for each in reversed(requests[-_LATEST:])
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _pushes(pushes: Sequence[dict[str, Any]]) -> str:
    if not pushes:
        return '<p class="quiet">None yet.</p>'
    rows = "".join(
        f"<tr><td>{escape(each['time'][11:19])}<td><code>{escape(each['id'])}</code>"
        f"<td>{escape(str(each['status'] or 'no answer'))}</tr>"
        for each in reversed(pushes[-_LATEST:])
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _row(call_request: CallRequest, now: float) -> str:
    status = call_request.status(now)
    mark = f'<span class="mark {status.value.lower()}">{escape(status.value)}</span>'
    return (
        f"<tr><td><code>{escape(call_request.id)}</code><td>{mark}<td>{_life(call_request, now)}"
        f"<td>{escape(call_request.sentence)}</tr>"
    )


def _life(call_request: CallRequest, now: float) -> str:
    """Where it is between its creation and its end, as a bar and in words."""
    life = call_request.life
    if life is None:
        return '<span class="quiet">stays so</span>'
    whole = max(life.completed_at - life.made_at, 1e-9)
    done = min(max((now - life.made_at) / whole, 0), 1)
    called = min(max((life.call_at - life.made_at) / whole, 0), 1)
    bar = (
        f'<meter min="0" max="1" low="{called:.4f}" high="0.9999" optimum="1" value="{done:.4f}"></meter>'
        if whole > 1e-9
        else ""
    )
    if now < life.call_at:
        words = f"phoned in {_duration(life.call_at - now)}"
    elif now < life.completed_at:
        words = f"completed in {_duration(life.completed_at - now)}"
    else:
        words = f"completed {_duration(now - life.completed_at)} ago"
    return f"{bar} {words}"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
