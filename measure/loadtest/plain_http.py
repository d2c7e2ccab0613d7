"""Requests to the gateway's metrics and to the sandbox: plain HTTP, and never through a proxy."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Any

_TIMEOUT = 5.0


class NoAnswerError(Exception):
    """There was no answer, or none with success."""


def ask(address: str, path: str, method: str = "GET", document: Any = None) -> bytes:
    """The body of the answer at host:port. document: sent as JSON. Raises NoAnswerError."""
    connection = HTTPConnection(address, timeout=_TIMEOUT)
    try:
        connection.request(method, path, None if document is None else json.dumps(document))
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, HTTPException) as error:
        raise NoAnswerError(f"{address}{path}: {error}") from None
    finally:
        connection.close()
    if reply.status >= 300:
        raise NoAnswerError(f"{address}{path}: {reply.status} {body.decode(errors='replace')[:200]}")
    return body
