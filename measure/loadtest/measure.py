"""Measures: each scenario, then the sweep over concurrencies."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from . import ghz, sandbox
from .gateway import Target
from .plain_http import NoAnswerError
from .results import Measured, Moment, Point
from .scenarios import CONCURRENCIES, SWEPT, Config, Fit, Scenario, most_calls, read_config, seconds_of
from .usage import read_usage, watched

_MOMENTS = 25
"""How often the gateway is looked at in a scenario of several parts."""
_WARMING, _WARM_UP = "passed-through", 1.0
"""The configuration that is run before anything is measured, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Runs against one gateway. Without a sandbox nothing can be made to be cancelled: those parts are left out."""

    target: Target
    fit: Fit

    def warm_up(self) -> None:
        """Lets the gateway fetch its token and open its connections. Nothing is polled yet: see SCENARIOS.

        Raises GhzError, and NoAnswerError when not one call ends with OK: such figures would mislead.
        """
        calls, _ = ghz.run({_WARMING: self.fit.of(read_config(_WARMING)) | {"duration": f"{_WARM_UP}s"}})
        if calls.failed == calls.calls:
            raise NoAnswerError(f"{self.target.address}: no call ended with OK: {calls.errors or 'there was none'}")

    def scenario(self, scenario: Scenario) -> Measured | None:
        """Measures one; None when none of its parts can be measured. Raises GhzError and NoAnswerError."""
        parts = [part for part in scenario.parts if part.kind != "cancels" or self.target.sandbox]
        if not parts:
            return None
        print_progress(f"{scenario.title}: {scenario.stands_for}")
        configs = {part.name: self._config(part.name, part.kind) for part in parts}
        before = read_usage(self.target.usage_source)
        with self._watched(configs) as moments:
            total, by_part = ghz.run(configs)
        usage = read_usage(self.target.usage_source).since(before)
        return Measured(
            total=total,
            parts=by_part if len(parts) > 1 else {},
            served=usage.served,
            vendor_calls=usage.vendor_calls,
            cpu=usage.cpu,
            course=tuple(moments),
        )

    def _watched(self, configs: Mapping[str, Config]) -> AbstractContextManager[list[Moment]]:
        """The course of a scenario with several parts. Others have none to show, and sampling costs CPU time."""
        if len(configs) == 1:
            return nullcontext([])
        return watched(
            self.target.usage_source, max(seconds_of(each["duration"]) for each in configs.values()) / _MOMENTS
        )

    def _config(self, name: str, kind: str) -> Config:
        config = self.fit.of(read_config(name))
        if kind == "cancels" and self.target.sandbox:
            # Some to spare: on a busy machine ghz makes some calls more before it ends.
            ids = sandbox.make_pending(self.target.sandbox, round(most_calls(config) * 1.1) + 20)
            config = self.fit.of(read_config(name), ids=ids)
        return config

    def sweep(self) -> dict[str, tuple[Point, ...]]:
        """Measures each of SWEPT at each concurrency. Raises GhzError."""
        return {name: tuple(self._points(name)) for name in SWEPT}

    def _points(self, name: str) -> Iterable[Point]:
        for concurrency in CONCURRENCIES:
            print_progress(f"{name}, {concurrency} at once")
            total, _ = ghz.run({name: self.fit.of_concurrency(read_config(name), concurrency)})
            yield Point(concurrency, total.per_second, total.median, total.p99, total.failed)


def print_progress(line: str) -> None:
    """Prints a line on stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
