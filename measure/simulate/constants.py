"""What one call, watch, message or script costs. The constants stand in constants.json, as they were measured."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).parent / "constants.json"


@dataclass(frozen=True, slots=True)
class Constants:
    """CPU in µs, of a gateway unless it is the engine's; memory in KB.

    call: of Get whose answer is known. own_read, shared_read: of a read at the vendor that is shared, and of one that
    another process has made, for a call. own_poll, shared_poll: the same for those who watch. watch: from its begin to
    its end. message: a change for one watcher. idle: a watch and second. push: signed. publication: another process's,
    of a call request that nobody watches here. operation: the engine's, of a script. delivery: the engine's, of a
    publication to one process.
    memory: a process at rest. watch_memory, entry_memory: a watch, and a result that is kept. stored: a result in the
    engine, its epoch included.
    """

    measured: str
    """The date, as 2026-11-26."""
    machine: str
    call: float
    own_read: float
    shared_read: float
    own_poll: float
    shared_poll: float
    watch: float
    message: float
    idle: float
    push: float
    publication: float
    operation: float
    delivery: float
    memory: float
    watch_memory: float
    entry_memory: float
    stored: float


def read(file: Path = FILE) -> Constants:
    """The constants as they were measured last."""
    return Constants(**json.loads(file.read_text()))


def write(constants: Constants, file: Path = FILE) -> None:
    """Keeps them."""
    file.write_text(json.dumps(asdict(constants), indent=2) + "\n")
