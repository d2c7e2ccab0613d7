"""The level of the log, which can be changed while the gateway runs."""

from collections.abc import Callable

from .logs import LEVELS, get_log


class LogLevel:
    """The current level, one of LEVELS. apply: sets it in this process. changed: called with each new level."""

    def __init__(
        self, level: str, apply: Callable[[str], None], changed: Callable[[str], None] = lambda level: None
    ) -> None:
        self.level = level
        self._apply = apply
        self._changed = changed

    def change(self, level: str) -> bool:
        """Sets it, and logs that at any level. Returns False, and changes nothing, if it is not one of LEVELS."""
        if level not in LEVELS:
            return False
        self._apply("info")
        get_log().info(f"the level of the log is {level}")
        self._apply(level)
        self.level = level
        self._changed(level)
        return True
