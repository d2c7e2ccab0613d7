"""A result as watchers receive it, and what makes it differ from another."""

from dataclasses import dataclass

from ..reading.result_cache import Reading


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The result of a watched call request at one time.

    message: a serialized WatchCallRequestResultResponse, whose bytes are those of a GetCallRequestResultResponse.
    content: the serialized result without `observed_at`; two snapshots with the same content are no change. status: a
    CallRequestStatus. final: the result cannot change any more. true_since: as of a Reading.
    """

    message: bytes
    content: bytes
    status: int
    final: bool
    true_since: float

    def is_as_new_as(self, reading: Reading) -> bool:
        """Whether it is of this reading or of a later one. The clock has milliseconds: equal times say nothing.

        A final reading is newer than one that is not, whatever their times: a push has whole seconds.
        """
        return self.message is reading.answer or (self.true_since > reading.true_since and not reading.final)

    @classmethod
    def of(cls, reading: Reading) -> "Snapshot":
        """The snapshot of a reading."""
        result = reading.result()
        status = result.status
        result.ClearField("observed_at")
        content = result.SerializeToString(deterministic=True)
        return cls(reading.answer, content, status, reading.final, reading.true_since)
