"""The level of the log, which can be changed while the gateway runs."""

from collections.abc import Callable

from .logs import LEVELS, get_log


class LogLevel:
    """The level that holds, one of LEVELS. apply: has it hold in this process; changed: called with it then."""

    def __init__(
        self, level: str, apply: Callable[[str], None], changed: Callable[[str], None] = lambda level: None
    ) -> None:
        self.level = level
        self._apply = apply
        self._changed = changed

    def change(self, level: str) -> bool:
        """Has it hold, and logs that whatever the level is. Returns False, and changes nothing, if there is no such."""
        if level not in LEVELS:
            return False
        self._apply("info")
        get_log().info(f"the level of the log is {level}")
        self._apply(level)
        self.level = level
        self._changed(level)
        return True
