"""Sentences about a run: the headings of the report. Each is a finding, not the title of a plot."""

from collections.abc import Sequence

from .figures import duration, number
from .results import Measured, Run
from .scenarios import SCENARIOS
from .thresholds import MEASURES, Verdict


def verdict(verdicts: Sequence[Verdict]) -> str:
    """Whether the thresholds hold."""
    missed = sum(each.passed is False for each in verdicts)
    unknown = sum(each.passed is None for each in verdicts)
    if missed:
        return f"{missed} of {len(verdicts)} thresholds missed"
    if not verdicts:
        return "No threshold was looked at"
    return f"{len(verdicts) - unknown} of {len(verdicts)} thresholds hold" if unknown else "All thresholds hold"


def misses(verdicts: Sequence[Verdict]) -> list[str]:
    """Each threshold that was missed, in a sentence."""
    titles = {scenario.name: scenario.title for scenario in SCENARIOS}
    return [
        f"{titles[verdict.threshold.scenario]}: {MEASURES[verdict.threshold.measure].title} is "
        f"{verdict.measured_text}, must be {verdict.threshold.bound}"
        for verdict in verdicts
        if verdict.passed is False
    ]


def calls(run: Run) -> str:
    """How many calls, and how many of them failed."""
    totals = [measured.total for measured in run.scenarios.values()]
    failed = sum(total.failed for total in totals)
    return f"{number(sum(total.calls for total in totals))} calls, {number(failed) if failed else 'none'} failed."


def against(run: Run) -> str:
    """What was behind the gateway."""
    circumstances = run.circumstances
    latency = circumstances.vendor_latency
    takes = f", which takes {duration(latency)} for each answer" if latency else ""
    return f"In front of {circumstances.vendor}{takes}."


def facts(run: Run) -> list[tuple[str, str, str]]:
    """The figures that matter most: what, how much, and a word more."""
    found = []
    hot, passed = run.scenarios.get("hot"), run.scenarios.get("passed-through")
    if hot:
        found.append(("Hot polling", number(round(hot.total.per_second)), "calls/s"))
        value, _, unit = duration(hot.total.p99).partition("\u00a0")
        found.append(("99 % of polls within", value, unit))
        if hot.vendor_calls:
            found.append(("Polls for one request to the vendor", one_for(hot), ""))
    if passed:
        found.append(("Passed through", number(round(passed.total.per_second)), "calls/s"))
    return found


def waiting(run: Run) -> str:
    """How long callers wait, by the polls if there are any."""
    hot = run.scenarios.get("hot")
    if hot is None or hot.total.median is None:
        return "How long callers wait"
    most = f"99\u00a0% within {duration(hot.total.p99)}"
    return f"Half of the polls are answered within {duration(hot.total.median)}, {most}"


def throughput(run: Run) -> str:
    """Where polling is fastest."""
    points = run.sweep.get("hot", ())
    if not points:
        return "Throughput against concurrency"
    best = max(points, key=lambda point: point.per_second)
    return f"Up to {number(best.per_second)} polls a second, {best.concurrency} at once"


def vendor_calls(run: Run) -> str:
    """How many polls a request to the vendor answers."""
    hot = run.scenarios.get("hot")
    return (
        f"{one_for(hot)} polls need one request to the vendor" if hot and hot.vendor_calls else "Requests to the vendor"
    )


def one_for(measured: Measured) -> str:
    """How many calls were served for one request to the vendor."""
    return number(round((measured.served or 0) / (measured.vendor_calls or 1)))


def course(measured: Measured) -> str:
    """How the load grew in the mixed day, and what the vendor saw of it."""
    fifth = len(measured.course) // 5
    if not fifth:
        return "The mixed day"
    rates = []
    for moments in (measured.course[:fifth], measured.course[-fifth:]):
        lasted = sum(moment.lasted for moment in moments)
        rates.append([sum(getattr(each, name) for each in moments) / lasted for name in ("served", "vendor_calls")])
    (served, vendor_calls), (more_served, more_vendor_calls) = rates
    calls = f"Calls grow from {number(round(served))} to {number(round(more_served))} a second"
    if round(vendor_calls) == round(more_vendor_calls):
        return f"{calls}, requests to the vendor stay at {number(round(vendor_calls))}"
    return f"{calls}, requests to the vendor from {number(round(vendor_calls))} to {number(round(more_vendor_calls))}"


def comparable(run: Run, baseline: Run) -> str:
    """Differences between the two runs that matter for comparing them."""
    version = baseline.circumstances.commit or baseline.circumstances.version or "another gateway"
    sentence = f"The baseline is of {day(baseline)}, at {version}"
    if baseline.circumstances.machine != run.circumstances.machine:
        sentence += ", on another machine: compare shapes and ratios, not times"
    elif (baseline.circumstances.length, baseline.circumstances.vendor_latency) != (
        run.circumstances.length,
        run.circumstances.vendor_latency,
    ):
        sentence += f", at length {baseline.circumstances.length:g} where this one has {run.circumstances.length:g}"
    return f"{sentence}."


def day(run: Run) -> str:
    """The day of a run."""
    return run.circumstances.made_at.partition("T")[0]
