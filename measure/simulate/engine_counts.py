"""What the engine reports about itself."""

import re

from testkit.engine import EngineProcess


def operations(engine: EngineProcess) -> int:
    """Scripts that it has run since it was started."""
    reported = engine.command("INFO", "commandstats").decode()
    return sum(int(number) for number in re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+)", reported))


def info(engine: EngineProcess, section: str, name: str) -> int:
    """A number in a section of INFO."""
    found = re.search(rf"^{name}:(\d+)", engine.command("INFO", section).decode(), re.MULTILINE)
    assert found is not None, f"the engine reports no {name}"
    return int(found[1])
