"""How many replicas a number of open call requests needs, and what they do then: simulated until both agree."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from .constants import Constants
from .run import simulate
from .scenario import MODES, POLL, WEBHOOK, Outage, Scenario
from .sizes import MAX_REPLICAS, Size, size

OPEN = (10_000, 100_000, 1_000_000)
LONG_INTERVAL = 600.0
"""GATEWAY_WATCH_PENDING_INTERVAL where the vendor pushes."""
_HOUR = 3600.0
_SAMPLES = {POLL: 100}
_SAMPLE, _ROUGH = 300, 0.1
_TRIES = 4


def day_of(mode: str, number: int) -> Scenario:
    """A day: each replica is restarted once, the engine is away for a minute, the vendor for ten."""
    return Scenario(
        mode,
        number,
        pending_interval=LONG_INTERVAL if mode == WEBHOOK else 60.0,
        engine_outages=(Outage(8.5 * _HOUR, 8.5 * _HOUR + 60),),
        vendor_outages=(Outage(16.5 * _HOUR, 16.5 * _HOUR + 600),),
    )


def sizes(constants: Constants) -> list[Size]:
    """Of each number in OPEN and each of MODES."""
    with ProcessPoolExecutor() as pool:
        begun = [pool.submit(sized, day_of(mode, number), constants) for number in OPEN for mode in MODES]
        return [each.result() for each in begun]


def sized(scenario: Scenario, constants: Constants, share: float = 1.0) -> Size:
    """The size with as many replicas as it needs. share: of the usual sample of call requests."""
    sample = max(round(_SAMPLES.get(scenario.mode, _SAMPLE) * share), 1)
    scenario = replace(scenario, poll_takes=constants.own_poll / 1e6)
    for _ in range(_TRIES):  # roughly: each replica more hears what the others publish
        found = size(scenario, simulate(scenario, max(round(sample * _ROUGH), 1)), constants)
        if found.replicas in (scenario.replicas, None):
            break
        scenario = replace(scenario, replicas=min(found.replicas, MAX_REPLICAS))
    return size(scenario, simulate(scenario, sample), constants)
