"""Runs a simulation."""

import random

from .call_request import CallRequest
from .counts import Counts
from .scenario import Scenario

SAMPLE = 200
"""Call requests that are simulated; those beyond count by them, for they do not depend on each other."""


def simulate(scenario: Scenario, sample: int = SAMPLE, step: float = 60.0, seed: int = 1) -> Counts:
    """Counts what happens in this scenario. step: seconds."""
    number = min(sample, scenario.open)
    counts = Counts(scenario.warm_up, scenario.end, step, scenario.open / number)
    for index in range(number):
        chance = random.Random(f"{seed} {index}")  # noqa: S311 (not for secrets)
        for life in scenario.lives(chance):
            if life.begun_at >= scenario.end:
                break
            CallRequest(scenario, life, counts, chance).run()
    return counts
