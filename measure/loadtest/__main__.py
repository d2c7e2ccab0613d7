"""`python -m measure.loadtest` runs the load tests; exits with 1 when a threshold is missed, 2 when it cannot run."""

import signal
import sys
from argparse import Namespace
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

from server import __version__
from testkit.server_process import DidNotStartError

from . import ghz, machine, sandbox
from .gateway import Target, started
from .measure import Measurement, print_progress
from .options import parse
from .plain_http import NoAnswerError
from .report import write_report
from .results import Circumstances, NoRunError, Run, read_run, write_run
from .scenarios import Fit
from .terminal import figures_table, thresholds_table
from .thresholds import WrongThresholdsError, judge, read_thresholds
from .usage import UsageSource

_CANNOT_RUN, _TERMINATED = 2, 143


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # so that the gateway ends, too
    options = parse()
    try:
        thresholds = read_thresholds(options.thresholds)
        baseline = read_run(options.baseline)
        run = _measure(options)
    except (ghz.GhzError, DidNotStartError, NoAnswerError, NoRunError, WrongThresholdsError) as error:
        print_progress(f"{type(error).__name__}: {error}")
        sys.exit(_CANNOT_RUN)
    verdicts = judge(thresholds, run.scenarios)
    page = options.into / "report.html"
    write_report(page, run, verdicts, baseline)
    write_run(run, options.into / "run.json")
    if options.save_baseline:
        write_run(run, options.baseline)
    print(figures_table(run), "", thresholds_table(verdicts), *run.left_out, "", page, sep="\n")  # noqa: T201
    sys.exit(any(verdict.passed is False for verdict in verdicts))


def _measure(options: Namespace) -> Run:
    """Measures what the options choose. Raises the errors that main() catches."""
    ghz.install()
    with _target(options) as target:
        if options.embedded and options.vendor_latency:
            sandbox.take_so_long(target.sandbox or "", options.vendor_latency)
        measurement = Measurement(target, Fit(target.address, options.length, options.ids, options.ghz_config))
        measurement.warm_up()
        found = {scenario.name: measurement.scenario(scenario) for scenario in options.scenarios}
        return Run(
            circumstances=Circumstances(
                made_at=datetime.now(UTC).isoformat(timespec="seconds"),
                version=__version__ if options.gateway is None else None,
                commit=machine.commit() if options.gateway is None else None,
                length=options.length,
                vendor=_vendor(options),
                vendor_latency=options.vendor_latency if options.embedded else None,
                machine=machine.machine(),
            ),
            scenarios={name: measured for name, measured in found.items() if measured is not None},
            sweep=measurement.sweep() if options.sweep else {},
            left_out=() if target.sandbox else ("Cancels are left out: there is no sandbox to make call requests in.",),
        )


def _vendor(options: Namespace) -> str:
    if options.embedded:
        return "the embedded sandbox"
    return "the vendor of --vendor-url" if options.gateway is None else "whatever vendor that gateway has"


def _target(options: Namespace) -> AbstractContextManager[Target]:
    if options.gateway is None:
        return started(options.into / "gateway.log", options.vendor_url, options.sandbox)
    return nullcontext(Target(options.gateway, UsageSource(options.metrics, None), options.sandbox))


if __name__ == "__main__":
    main()
