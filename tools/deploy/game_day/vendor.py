"""The vendor of the night: it wants our certificate and our secret, and may take only so many requests a second."""

import asyncio
import ssl
import time
from collections import deque
from pathlib import Path

from testkit.certificate_authority import DNS, Authority, replace
from testkit.scripted_vendor import Answer, send
from testkit.stateful_vendor import Vendor

MAX_RETRY_AFTER = 2
DAY = 86400.0
SECRETS = ("of-summer-6f1c", "of-winter-b20e")
"""That the vendor knows one after the other."""


class VendorsPki:
    """The vendor's authority, its server's certificate, and the one that it issued to us: `certificate`, `key`."""

    def __init__(self, folder: Path, theirs: Path) -> None:
        self.authority = Authority(days=365)
        self.ca, self.certificate, self.key = (folder / name for name in ("ca.pem", "client.pem", "client.key"))
        replace(self.ca, self.authority.pem)
        self.renew()
        server, key, ca = (theirs / name for name in ("server.pem", "server.key", "ca.pem"))
        self.authority.issue(DNS("localhost"), days=365).write(server, key)
        replace(ca, self.authority.pem)
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.load_cert_chain(server, key)

    def renew(self, seconds: float = 90 * DAY) -> None:
        """Replaces our certificate by one that is valid for so many seconds."""
        self.authority.issue(common_name="call-request-gateway", days=seconds / DAY).write(self.certificate, self.key)


class NightVendor(Vendor):
    """secret: the one that it knows. limit: requests a second; None: any number. refused: when it answered 429."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.secret = SECRETS[0]
        self.limit: float | None = None
        self.refused: deque[float] = deque(maxlen=1000)
        self._taken: deque[float] = deque()
        self._tokens: set[str] = set()
        super().__init__(tls)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def rotate_secret(self) -> None:
        """Only the new secret is known, and no token of the old one is valid."""
        self.secret = SECRETS[1]
        self._tokens.clear()

    def _refusal(self, writer: asyncio.StreamWriter) -> Answer | None:
        token = self.asked_on(writer).headers["authorization"].removeprefix("Bearer ")
        if token not in self._tokens:
            return send("", 401)
        now = time.monotonic()
        while self._taken and self._taken[0] < now - 1:
            self._taken.popleft()
        if self.limit is not None and len(self._taken) >= self.limit:
            self.refused.append(now)
            return send("", 429, retry_after=str(MAX_RETRY_AFTER))
        self._taken.append(now)
        return None

    async def _token(self, writer: asyncio.StreamWriter) -> None:
        if self.asked_on(writer).query.get("client_secret") != [self.secret]:
            await send({"error": "invalid_client"}, 401)(writer)
            return
        self.fetches += 1
        token = f"token-{self.fetches}"
        self._tokens.add(token)
        await send({"access_token": token, "expires_in": 84400, "token_type": "Bearer"})(writer)
