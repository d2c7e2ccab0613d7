"""The scenarios: which configurations of ghz each is made of. Each configuration is a file that ghz runs by itself."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "configs"
SHORTEST_RUN = 0.2
"""Seconds that a run lasts at least, however short all of it is to be."""

MAX_BATCH = 100
"""Ids of one call, at most."""

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A configuration, configs/{name}.json, and what the report calls it and colours it by.

    kind: polls, fresh, cancels, watches or batches.
    """

    name: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """Configurations that run at once, and what they stand for."""

    name: str
    title: str
    stands_for: str
    parts: tuple[Part, ...]


SCENARIOS = (
    Scenario(
        "passed-through",
        "Passed through",
        "64 callers at once who want the truth of now: max_age 0",
        (Part("passed-through", "Passed through", "fresh"),),
    ),
    Scenario(
        "cancel",
        "Cancels",
        "100 cancels a second, each of a pending call request of its own",
        (Part("cancel", "Cancels", "cancels"),),
    ),
    Scenario(
        "hot",
        "Hot polling",
        "64 callers at once who poll the same six ids, without max_age",
        (Part("hot", "Hot polling", "polls"),),
    ),
    Scenario(
        "batch",
        "Batches",
        "16 callers at once who poll ten results in one call, without max_age",
        (Part("batch", "Batches", "batches"),),
    ),
    Scenario(
        "watch",
        "Watches",
        "64 callers at once who watch final results: each is sent it, and its watch ends",
        (Part("watch", "Watches", "watches"),),
    ),
    Scenario(
        "mixed-day",
        "Mixed day",
        "polls that grow from 100 to 500 a second; meanwhile some reads are passed through, and a few cancels",
        (
            Part("mixed-day-polls", "Polls", "polls"),
            Part("mixed-day-passed-through", "Passed through", "fresh"),
            Part("mixed-day-cancels", "Cancels", "cancels"),
        ),
    ),
)
"""In this order: polled ids may be read ahead for a while, and these requests must not count for later scenarios."""

SWEPT = ("hot", "passed-through")
"""Configurations that are run once for each concurrency."""
CONCURRENCIES = (1, 4, 16, 64, 256)
SWEEP_SECONDS = 4.0
"""How long each of them is run, at full length."""


def read_config(name: str) -> Config:
    """The configuration as it is in its file."""
    config: Config = json.loads((FOLDER / f"{name}.json").read_text())
    return config


def seconds_of(text: str) -> float:
    """Reads one of our files' durations, "12s"."""
    return float(text.removesuffix("s"))


def most_calls(config: Config) -> float:
    """The calls that a configuration makes at most, give or take a few: ghz holds its rate, and ends at its duration.

    Its `total` bounds nothing here: ghz 0.121 forgets it as soon as there is a duration.
    """
    return float(config.get("rps") or config["load-end"]) * seconds_of(config["duration"])


@dataclass(frozen=True, slots=True)
class Fit:
    """What a run changes in the files: the address, the length, the ids, and what the user adds.

    length: 1 is that of the files. ids: read in the place of the sandbox's. also: more of ghz's configuration.
    """

    host: str
    length: float = 1.0
    ids: tuple[str, ...] = ()
    also: tuple[tuple[str, Any], ...] = ()

    def of(self, config: Config, *, ids: tuple[str, ...] = ()) -> Config:
        """The configuration fitted to this run. ids: in the place of all others."""
        fitted = config | {"host": self.host} | dict(self.also)
        for name in {"duration", "load-step-duration"} & fitted.keys():
            least = SHORTEST_RUN if name == "duration" else SHORTEST_RUN / 10
            fitted[name] = f"{max(seconds_of(fitted[name]) * self.length, least):.3f}s"
        if chosen := ids or self.ids:
            # All entries of a file are alike but for the id.
            entry = config["data"][0]
            if "call_request_ids" in entry:
                fitted["data"] = [entry | {"call_request_ids": list(chosen[:MAX_BATCH])}]
            else:
                fitted["data"] = [entry | {"call_request_id": each} for each in chosen]
        return fitted

    def of_concurrency(self, config: Config, concurrency: int) -> Config:
        """The same for a point of the sweep."""
        changed = {
            "concurrency": concurrency,
            "connections": min(concurrency, config["connections"]),
            "duration": f"{SWEEP_SECONDS}s",
        }
        return self.of(config | changed)
