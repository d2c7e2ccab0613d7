"""The vendor's pushes of completed calls, as a sender signs them, and the settings of a gateway that takes them."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

_KEY = bytes(range(32))  # of tests and measurements, and so no secret
TOKEN = "a-token-of-the-suite"
PATH = "/webhooks/call-request-completed"
SETTINGS = {
    "WEBHOOK_LISTEN": "127.0.0.1:{port}",
    "WEBHOOK_SECRETS": "whsec_" + base64.b64encode(_KEY).decode(),
    "WEBHOOK_TOKENS": TOKEN,
}
"""For measure.faults.fleet.sharing, which puts a free port in the place of {port}."""


def push_settings(port: int) -> dict[str, str]:
    """SETTINGS with this port."""
    return {name: value.replace("{port}", str(port)) for name, value in SETTINGS.items()}


HINT = {"Authorization": f"Bearer {TOKEN}"}
"""The headers of a push that is not signed."""


@dataclass(frozen=True, slots=True)
class Push:
    """A push of a completed call. occurred: seconds ago."""

    call_request_id: str
    event_id: str
    summary: str = "confirmed"
    occurred: float = 0.0

    @property
    def body(self) -> bytes:
        """Its JSON."""
        moment = datetime.fromtimestamp(time.time() - self.occurred, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        outcome = {"callType": "BOOKING_VERIFICATION", "callStatus": "SUCCESS", "outcomeSummary": self.summary}
        data = {"callRequestId": self.call_request_id, "callRequestStatus": "COMPLETED", "result": outcome}
        document = {"eventId": self.event_id, "eventType": "call.request.completed", "occurredAt": moment}
        return json.dumps({**document, "data": data}).encode()


def signed(body: bytes, seconds: float = 0) -> dict[str, str]:
    """The headers of a signed push. seconds: how long ago it was signed."""
    moment = str(int(time.time() - seconds))
    digest = hmac.new(_KEY, f"msg.{moment}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": "msg", "webhook-timestamp": moment, "webhook-signature": signature}
