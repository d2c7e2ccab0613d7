"""A client of the vendor's API, and what most tests of the sandbox compare with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from sandbox import CLIENT_ID, CLIENT_SECRET

DOCS = Path(__file__).parents[2] / "docs" / "sandbox.md"
PENDING = "66a1b2c3d4e5f678"
NOT_ALLOWED = "CANCELLATION_NOT_ALLOWED"
NOT_FOUND = {
    "success": False,
    "error": {
        "code": "NOT_FOUND",
        "message": "Can not found the corresponding call request base on the call request id.",
    },
}


@dataclass(frozen=True)
class Reply:
    """A reply as it came. text: undecoded JSON, or whatever it is."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Caller:
    """A client of the vendor over a real socket, with a token once it has asked for one."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.token = ""

    async def send(self, method: str, path: str, **options: Any) -> Reply:
        options.setdefault("headers", {"Authorization": f"Bearer {self.token}"})
        async with self.session.request(method, self.url + path, allow_redirects=False, **options) as response:
            text = await response.text()
            return Reply(response.status, text, dict(response.headers))

    async def ask_for_token(self, method: str = "POST", **changed: str) -> Reply:
        fields = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "grant_type": "client_credentials"}
        return await self.send(method, "/authorizer/token", params=fields | changed, headers={})

    async def renew(self) -> str:
        self.token = (await self.ask_for_token()).json["access_token"]
        return self.token

    async def result(self, call_request_id: str) -> Reply:
        return await self.send("GET", f"/api/v1/call-request/{call_request_id}/result")

    async def cancel(self, call_request_id: str) -> Reply:
        return await self.send("POST", "/api/v1/call-request/cancel", json={"callRequestId": call_request_id})

    async def status(self, call_request_id: str) -> str:
        """The status as the control endpoint shows it: no fault stands in the way."""
        shown = (await self.control("GET", "call-requests")).json["call_requests"]
        return next(str(row["status"]) for row in shown if row["id"] == call_request_id)

    async def control(self, method: str, path: str, body: Any = None) -> Reply:
        return await self.send(method, f"/sandbox/{path}", json=body, headers={})

    async def make(self, **plan: Any) -> str:
        return str((await self.control("POST", "call-requests", plan)).json["id"])
