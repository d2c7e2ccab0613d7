"""The command line: python -m server serve | sandbox | healthcheck; installed also as call-request-gateway."""

import signal
import sys

# As a container's first process Python ignores SIGTERM until it has a handler, and the imports take half a second.
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

from .commands import main  # noqa: E402

if __name__ == "__main__":
    main()
