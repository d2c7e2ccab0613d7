"""The spelling of a reply. The default is that of the vendor's examples; the tables of its pages have others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .clock import timestamp

Document = dict[str, Any]
"""A JSON object."""


class Status(StrEnum):
    """The status of a call request, in the vendor's words."""

    PENDING_TO_CALL = "PENDING_TO_CALL"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One spelling of the vendor's replies.

    Keys: those of the envelope; None omits the value. true, false: the value of `success`; None omits it.
    status_words: sent instead of a status. result_with: the statuses that come with an outcome. reference: a text in
    the place of a cancel's object, with the object's fields beside it. spell_key: changes every key before it is sent.
    """

    id_key: str | None = "callRequestId"
    status_key: str = "callRequetStatus"
    result_key: str = "result"
    cancellation_key: str | None = "results"
    cancelled_at_key: str = "cancelled_at"
    cancelled_at_form: str = "%Y-%m-%dT%H:%M:%SZ"
    reference: str | None = None
    true: Any = True
    false: Any = False
    status_words: Mapping[Status, Any] = field(default_factory=dict)
    result_with: frozenset[Status] = frozenset({Status.COMPLETED})
    spell_key: Callable[[str], str] = str

    def result(self, call_request_id: str, status: Status, outcome: Mapping[str, Any]) -> Document:
        """The reply to a read: the status and, with some statuses, the outcome."""
        document = self._success() | self._id(call_request_id)
        document[self.status_key] = self.status_words.get(status, status.value)
        if status in self.result_with:
            document[self.result_key] = with_blank_action(outcome)
        return self._keys_spelt(document)

    def cancellation(self, call_request_id: str, cancelled_at: float) -> Document:
        """The reply to a cancel that was carried out. cancelled_at: seconds since 1970."""
        document = self._success()
        if self.cancellation_key is None:
            return self._keys_spelt(document)
        fields = self._id(call_request_id) | {self.cancelled_at_key: timestamp(cancelled_at, self.cancelled_at_form)}
        if self.reference is None:
            document[self.cancellation_key] = fields
        else:
            document |= {self.cancellation_key: self.reference, **fields}
        return self._keys_spelt(document)

    def error(self, code: str, message: str) -> Document:
        """The one shape of all errors."""
        flag = {} if self.false is None else {"success": self.false}
        return self._keys_spelt({**flag, "error": {"code": code, "message": message}})

    def _success(self) -> Document:
        return {} if self.true is None else {"success": self.true}

    def _id(self, call_request_id: str) -> Document:
        return {} if self.id_key is None else {self.id_key: call_request_id}

    def _keys_spelt(self, document: Document) -> Document:
        return {
            self.spell_key(key): self._keys_spelt(value) if isinstance(value, dict) else value
            for key, value in document.items()
        }


def with_blank_action(outcome: Mapping[str, Any]) -> Document:
    """The outcome as the vendor sends it: absent fields of actionRequired are empty text."""
    document = dict(outcome)
    action = document.get("actionRequired", {})
    if isinstance(action, dict):
        document["actionRequired"] = {"action": "", "email": "", "fax": ""} | action
    return document
