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
from .usage import look, watched

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

        Raises GhzError, and NoAnswerError when not one call ends with OK: nothing is to be learned there.
        """
        calls, _ = ghz.run({_WARMING: self.fit.of(read_config(_WARMING)) | {"duration": f"{_WARM_UP}s"}})
        if calls.failed == calls.calls:
            raise NoAnswerError(f"{self.target.address}: no call ended with OK: {calls.errors or 'there was none'}")

    def scenario(self, scenario: Scenario) -> Measured | None:
        """Measures one; None when nothing of it can be. Raises GhzError and NoAnswerError."""
        parts = [part for part in scenario.parts if part.kind != "cancels" or self.target.sandbox]
        if not parts:
            return None
        tell(f"{scenario.title}: {scenario.stands_for}")
        configs = {part.name: self._config(part.name, part.kind) for part in parts}
        before = look(self.target.lookout)
        with self._watched(configs) as moments:
            total, by_part = ghz.run(configs)
        usage = look(self.target.lookout).since(before)
        return Measured(
            total=total,
            parts=by_part if len(parts) > 1 else {},
            served=usage.served,
            asked=usage.asked,
            cpu=usage.cpu,
            course=tuple(moments),
        )

    def _watched(self, configs: Mapping[str, Config]) -> AbstractContextManager[list[Moment]]:
        """The course of a scenario of several parts; of others it tells nothing, and looking costs some CPU time."""
        if len(configs) == 1:
            return nullcontext([])
        return watched(self.target.lookout, max(seconds_of(each["duration"]) for each in configs.values()) / _MOMENTS)

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
            tell(f"{name}, {concurrency} at once")
            total, _ = ghz.run({name: self.fit.of_concurrency(read_config(name), concurrency)})
            yield Point(concurrency, total.per_second, total.median, total.p99, total.failed)


def tell(line: str) -> None:
    """Says on stderr what goes on."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
