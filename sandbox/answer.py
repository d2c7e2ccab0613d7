"""A reply of the vendor, before a fault changes it."""

import json
from dataclasses import dataclass

from aiohttp import web

from .dialect import Dialect, Document


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and the JSON that comes with it."""

    document: Document
    status: int = 200

    @property
    def text(self) -> str:
        return json.dumps(self.document)

    def response(self) -> web.Response:
        return json_response(self.text, self.status)


def json_response(text: str, status: int = 200) -> web.Response:
    """A response with the vendor's content type; the text may be anything."""
    return web.Response(text=text, status=status, content_type="application/json")


def unauthorized(message: str) -> Answer:
    """The vendor's 401, for a missing or wrong token or secret."""
    return Answer(Dialect().error("UNAUTHORIZED", message), 401)
