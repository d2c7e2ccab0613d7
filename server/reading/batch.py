"""Reading many results at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import BatchError, BatchItem

from ..deadline import Deadline
from ..errors import GatewayError
from ..observability.logs import describe, get_log
from ..validation import check_call_request_id
from .result_cache import Reading
from .results import Results


class Batches:
    """Reads a batch of results.

    items_asked: called with the number of different ids of each batch. item_failed: called with the ErrorReason's name
    of each item that is an error.
    """

    def __init__(
        self, results: Results, items_asked: Callable[[int], None], item_failed: Callable[[str], None]
    ) -> None:
        self._results = results
        self._items_asked = items_asked
        self._item_failed = item_failed

    async def read(self, call_request_ids: Sequence[str], max_age: float | None, deadline: Deadline) -> bytes:
        """Reads all at once, an id that occurs twice once. Returns a serialized BatchGetCallRequestResultsResponse.

        Each id has a result or an error of its own, in the order of the ids; an id that is not valid is such an error.
        A read that is not done at the deadline is DEADLINE_EXCEEDED and holds up no other. Where reads wait for
        the rate limit, single calls go first.
        """
        deadline = deadline.yielding()
        items: dict[str, bytes] = {}
        reading: dict[str, Awaitable[Reading]] = {}
        different = dict.fromkeys(call_request_ids)
        self._items_asked(len(different))
        for call_request_id in different:
            try:
                answer = self._results.cached(check_call_request_id(call_request_id), max_age)
            except GatewayError as error:
                items[call_request_id] = self._failed_item(call_request_id, error)
                continue
            if answer is None:
                reading[call_request_id] = self._results.read(call_request_id, max_age, deadline)
            else:
                items[call_request_id] = _item(call_request_id, answer.answer)
        answers = await asyncio.gather(*reading.values(), return_exceptions=True)
        for call_request_id, read in zip(reading, answers, strict=True):
            if isinstance(read, Reading):
                items[call_request_id] = _item(call_request_id, read.answer)
            else:
                items[call_request_id] = self._failed_item(call_request_id, _known(read))
        return b"".join([items[call_request_id] for call_request_id in call_request_ids])

    def _failed_item(self, call_request_id: str, error: GatewayError) -> bytes:
        self._item_failed(error.reason_name)
        failure = BatchError(code=error.code, message=error.text, reason=error.reason)
        return _field(_ITEMS, BatchItem(call_request_id=call_request_id, error=failure).SerializeToString())


_ITEMS, _RESULT = b"\x0a", b"\x12"
"""Tags of BatchGetCallRequestResultsResponse.items and BatchItem.call_request_result, of the wire type LEN."""
_ID = b"\x0a\x10"
"""Tag and length of BatchItem.call_request_id: 16 bytes."""


def _item(call_request_id: str, answer: bytes) -> bytes:
    """An item with a result, made of the bytes of the cached answer: nothing is parsed or serialized again.

    answer: its only field has the number 1, so that all behind the tag is the result with its length.
    """
    return _field(_ITEMS, b"".join((_ID, call_request_id.encode(), _RESULT, answer[1:])))


def _field(tag: bytes, content: bytes) -> bytes:
    length, prefix = len(content), bytearray(tag)
    while length > 0x7F:  # a varint
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + content


def _known(error: BaseException) -> GatewayError:
    """The failure of one read as an error of the catalogue; a defect fails its item only."""
    if isinstance(error, GatewayError):
        return error
    get_log().error("unexpected", **describe(error))
    return GatewayError(reasons.ERROR_REASON_INTERNAL)
