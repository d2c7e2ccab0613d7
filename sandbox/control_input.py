"""Reads the fields of control requests; a wrong one raises an error with one sentence."""

import json
import re
from collections.abc import Collection
from typing import NoReturn

from .call_requests import SUCCESS, Plan, WebhookPlan
from .clock import MAX_AHEAD
from .dialect import Document, Status
from .fault_queue import ANY, OPERATIONS, FaultPlan
from .faults import FAULTS

_ID = re.compile(r"[A-Za-z0-9]{16}")
_URL = re.compile(r"https?://[!-~]{1,2000}")
_SECRET = re.compile(r"whsec_(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_MAX_FAULT = 86400.0  # seconds, for Retry-After


class WrongInput(Exception):
    """The exception's text is a sentence for people."""


class Fields:
    """The fields of a JSON object. Each is read once; null means absent. Raises WrongInput."""

    def __init__(self, body: bytes) -> None:
        try:
            values = json.loads(body or b"{}", parse_constant=_refuse)
            json.dumps(values, allow_nan=False)  # 1e999 becomes infinite, which JSON cannot express
        except (ValueError, RecursionError):
            raise WrongInput("The body is not JSON.") from None
        if not isinstance(values, dict):
            raise WrongInput("The body is not a JSON object.")
        self._values = {name: value for name, value in values.items() if value is not None}
        self._go_with: dict[str, str] = {}

    def seconds(self, name: str, minimum: float = -MAX_AHEAD, maximum: float = MAX_AHEAD) -> float | None:
        value = self._values.pop(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
            raise WrongInput(f"{name} must be a number of seconds from {minimum:g} to {maximum:g}.")
        return float(value)

    def whole(self, name: str, minimum: int, maximum: int) -> int | None:
        value = self._values.pop(name, None)
        if value is not None and (type(value) is not int or not minimum <= value <= maximum):
            raise WrongInput(f"{name} must be a whole number from {minimum} to {maximum}.")
        return value

    def word(self, name: str, words: Collection[str]) -> str | None:
        value = self._values.pop(name, None)
        if value is not None and (not isinstance(value, str) or value not in words):
            raise WrongInput(f"{name} must be one of {', '.join(words)}.")
        return value

    def text(self, name: str, form: "re.Pattern[str]", what: str) -> str | None:
        """what: the form, for people."""
        value = self._values.pop(name, None)
        if value is not None and (not isinstance(value, str) or not form.fullmatch(value)):
            raise WrongInput(f"{name} must be {what}.")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._values.pop(name, default)
        if not isinstance(value, bool):
            raise WrongInput(f"{name} must be true or false.")
        return value

    def document(self, name: str) -> Document | None:
        value = self._values.pop(name, None)
        if value is not None and not isinstance(value, dict):
            raise WrongInput(f"{name} must be a JSON object.")
        return value

    def go_with(self, missing: str, names: Collection[str]) -> None:
        """Declares fields that need another one, which is missing: `end` names both."""
        self._go_with |= dict.fromkeys(names, missing)

    def end(self) -> None:
        """Raises WrongInput for a field that was not read: first for an unknown one."""
        for name in self._values:
            if name not in self._go_with:
                raise WrongInput(f"There is no field {json.dumps(name[:50])} here.")
        for name in self._values:
            raise WrongInput(f"{name} goes with {self._go_with[name]}, which is missing.")


def read_id(call_request_id: str) -> str:
    """Raises WrongInput for anything but an id."""
    if not _ID.fullmatch(call_request_id):
        raise WrongInput("A call request id is 16 of A–Z, a–z and 0–9.")
    return call_request_id


def read_plan(fields: Fields) -> Plan:
    """The plan of a new call request."""
    status = fields.word("status", list(Status))
    call_in, call_takes = fields.seconds("call_in"), fields.seconds("call_takes", minimum=0)
    outcome = fields.document("outcome")
    fault = read_fault(fields)
    plan = Plan(
        status=None if status is None else Status(status),
        call_in=3600.0 if call_in is None else call_in,
        call_takes=60.0 if call_takes is None else call_takes,
        check_in_in=fields.seconds("check_in_in"),
        outcome=SUCCESS if outcome is None else outcome,
        error_status=fields.whole("error_status", 200, 599) or 200,
        faults=() if fault is None else (fault,),
        webhook=_webhook(fields.document("webhook")),
    )
    fields.end()
    return plan


def _webhook(document: Document | None) -> WebhookPlan | None:
    if document is None:
        return None
    fields = Fields(json.dumps(document).encode())
    url = fields.text("url", _URL, "an address that begins with http:// or https://")
    if url is None:
        raise WrongInput("url is missing: where the result is pushed.")
    plan = WebhookPlan(
        url=url,
        secret=fields.text("secret", _SECRET, "whsec_ and at least 24 bytes in base64"),
        token=fields.text("token", _TOKEN, "a token without spaces"),
        delay=fields.seconds("delay", minimum=0, maximum=_MAX_FAULT) or 0.0,
        times=fields.whole("times", 1, 1000) or 1,
        another_body=fields.flag("another_body"),
        out_of_order=fields.flag("out_of_order"),
        nested=fields.flag("nested", default=True),
        signed_ago=fields.seconds("signed_ago") or 0.0,
    )
    fields.end()
    return plan


def read_fault(fields: Fields) -> FaultPlan | None:
    """A fault, if the fields name one; without it, fields that go with it stay unread."""
    name = fields.word("fault", FAULTS)
    if name is None:
        fields.go_with("fault", ("operation", "times", "seconds"))
        return None
    operation = fields.word("operation", (*OPERATIONS, ANY)) or ANY
    return FaultPlan(
        name, operation, fields.whole("times", 1, 10**9), fields.seconds("seconds", minimum=0, maximum=_MAX_FAULT)
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are not JSON
