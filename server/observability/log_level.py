"""The level of the log, which can be changed while the gateway runs."""

from collections.abc import Callable

from .logs import LEVELS, get_log


class LogLevel:
    """The level that holds, one of LEVELS. apply: has it hold from now on."""

    def __init__(self, level: str, apply: Callable[[str], None]) -> None:
        self.level = level
        self._apply = apply

    def change(self, level: str) -> bool:
        """Has it hold, and logs that whatever the level is. Returns False, and changes nothing, if there is no such."""
        if level not in LEVELS:
            return False
        self._apply("info")
        get_log().info(f"the level of the log is {level}")
        self._apply(level)
        self.level = level
        return True
