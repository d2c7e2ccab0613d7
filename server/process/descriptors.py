"""How many files and connections the process may have open."""

import resource
from contextlib import suppress


def raise_open_files_limit() -> None:
    """Raises the soft limit to the hard one: 1024, the usual soft one, is less than a gateway's connections.

    The soft one is kept low for programs that use select() (numbers up to 1023), which this one does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # where "unlimited" is more than the system allows
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
