"""The vendor of the gateway under test, which does what a test asks for: docs/sandbox.md."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen


class Sandbox:
    """The control port of a sandbox."""

    def __init__(self, url: str) -> None:
        self._url = url

    def reset(self) -> None:
        """Brings call requests back to the start, and forgets faults and what was counted."""
        self._ask("POST", "reset", keep_tokens=True)

    def revoke_tokens(self) -> None:
        """The gateway needs a new token for its next request."""
        self._ask("POST", "tokens/revoke")

    def plan(self, operation: str, fault: str, **more: float) -> None:
        """Plans a fault; without `times` it stays."""
        self._ask("POST", "faults", operation=operation, fault=fault, **more)

    def make(self, call_request_id: str, **fields: object) -> None:
        """Makes a call request."""
        self._ask("PUT", f"call-requests/{call_request_id}", **fields)

    def counts(self) -> dict[str, int]:
        """How often the vendor was asked, by operation."""
        counts: dict[str, int] = self._ask("GET", "requests")["counts"]
        return counts

    def _ask(self, method: str, path: str, **body: object) -> Any:
        sent = json.dumps(body).encode() if body else None
        try:
            with urlopen(Request(f"{self._url}/sandbox/{path}", sent, method=method), timeout=5) as reply:
                return json.load(reply)
        except HTTPError as error:
            error.add_note(error.read().decode())  # which field is wrong
            raise
