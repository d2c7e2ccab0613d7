"""The command line: python -m server serve | sandbox | healthcheck; installed also as call-request-gateway."""

# Before all else, for the other imports take half a second: no signal is lost in it, and no file or socket gets the
# number of a standard stream that is closed.
from .process.signal_mask import block_signals
from .process.standard_streams import open_closed_streams

block_signals()
open_closed_streams()

from .commands.main import main  # noqa: E402

if __name__ == "__main__":
    main()
