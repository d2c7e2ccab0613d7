"""Defects that must not end a cancel: its POST may have had an effect, which is read back all the same."""

import asyncio

from ..observability.logs import describe, get_log


class Defects:
    """Logs the first defect that one cancel meets; as a rule the next ones are the same defect again."""

    def __init__(self, call_request_id: str) -> None:
        self._id = call_request_id
        self._logged = False

    def absorb(self, error: BaseException) -> None:
        """Logs an exception that is not in the catalogue, so that the cancel goes on.

        Raises it again when it is the cancellation of the running task: the gateway ends. Any other CancelledError came
        from something that the task awaited.
        """
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise error
        if not self._logged:
            self._logged = True
            get_log().error("unexpected", call_request_id=self._id, **describe(error))
