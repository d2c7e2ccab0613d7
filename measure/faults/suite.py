"""All cases of the suite, and a run of some of them."""

import asyncio
import signal
import time
from dataclasses import replace

from testkit.server_process import DidNotStartError

from . import (
    bad_sharing,
    callers,
    cancelling,
    company_network,
    defects,
    ending,
    engine_outages,
    failing_reads,
    greedy,
    hostile,
    machines,
    overload,
    processes,
    reading,
    replies,
    seen,
    shared_watching,
    sharing,
    state,
    tracing,
    unfinished,
    vendor_connection,
    watching,
    webhook,
    workers,
)
from .fault_case import FaultCase, Findings, Form
from .report import Measured, print_progress

CASES = (
    *reading.CASES,
    *failing_reads.CASES,
    *replies.CASES,
    *cancelling.CASES,
    *overload.CASES,
    *hostile.CASES,
    *unfinished.CASES,
    *defects.CASES,
    *ending.CASES,
    *processes.CASES,
    *callers.CASES,
    *greedy.CASES,
    *seen.CASES,
    *sharing.CASES,
    *vendor_connection.CASES,
    *company_network.CASES,
    *state.CASES,
    *tracing.CASES,
    *shared_watching.CASES,
    *engine_outages.CASES,
    *bad_sharing.CASES,
    *machines.CASES,
    *watching.CASES,
    *webhook.CASES,
    *workers.CASES,
)
KNOWN_FAILURES: frozenset[str] = frozenset()
"""Cases that do not hold, with their cause in docs/faults.md. They are measured and shown; the run succeeds."""
MAX_TRIES = 3
"""How often a case is measured until it holds: other load on the machine is not a defect of the gateway."""
MEASURED_ONCE = frozenset(case.name for case in (*cancelling.CASES, *callers.CASES, *sharing.NEVER))
"""Cases about what must never happen: a cancel wrongly confirmed, a stranger let in. A second try would hide it."""


async def run(cases: list[FaultCase], form: Form, at_once: int = 1) -> list[Measured]:
    """Measures cases, so many at once; those that do not hold once more by themselves, at most MAX_TRIES times in all.

    SIGTERM ends the run as Ctrl-C does, and the gateways that it started.
    """
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    # Connections of a killed gateway raise in callbacks that nothing awaits.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    measured: dict[str, Measured] = {}
    waiting = iter(cases)

    async def measure_in_turn() -> None:
        for case in waiting:
            measured[case.name] = await _measure(case, form)
            print_progress(measured[case.name])

    async with asyncio.TaskGroup() as lanes:
        for _ in range(at_once):
            lanes.create_task(measure_in_turn())
    for case in cases:
        for _ in range(0 if case.name in KNOWN_FAILURES | MEASURED_ONCE else MAX_TRIES - 1):
            before = measured[case.name]
            if before.findings.held:
                break
            latest = await _measure(case, form)
            print_progress(latest)
            measured[case.name] = replace(latest, seconds=before.seconds + latest.seconds)
    return [measured[case.name] for case in cases]


def succeeded(measured: list[Measured]) -> bool:
    """Whether every case holds that is not one of KNOWN_FAILURES."""
    return all(each.findings.held for each in measured if each.case.name not in KNOWN_FAILURES)


async def _measure(case: FaultCase, form: Form) -> Measured:
    begun, findings = time.monotonic(), Findings()
    if lacking := case.lacking():
        findings.record(f"not measured here: {lacking}")
        return Measured(case, findings, 0.0)
    try:
        async with asyncio.timeout(case.timeout):
            await case.measure(form, findings)
    except TimeoutError:
        findings.record(f"no end after {case.timeout:.0f} s", False)
    except DidNotStartError as error:
        findings.record(f"did not start: {error}", False)
    except Exception as error:
        findings.record(f"raised {error!r}", False)
    return Measured(case, findings, time.monotonic() - begun)
