"""The tables of docs/scale.md."""

from collections.abc import Sequence
from dataclasses import asdict

from .check import MOST, Compared
from .constants import Constants
from .sizes import Size

_HEAD = (
    "open call requests | callers are | vendor calls a day | a second, busiest | engine operations a second | busiest "
    "| cores of all gateways | busiest | cores of the engine | busiest | memory, GB | of the engine, GB | replicas"
)


def number(value: float) -> str:
    """With three digits, thousands apart: 1 230 000, 12.3."""
    short = float(f"{value:.3g}")
    return f"{short:,.0f}".replace(",", " ") if short >= 100 else f"{short:g}"


def sizes_table(sizes: Sequence[Size]) -> str:
    """A line for each size."""
    columns = _HEAD.count("|") + 1
    lines = [f"| {_HEAD} |", "|--:|---|" + "--:|" * (columns - 2)]
    for each in sizes:
        values = (
            each.vendor_calls,
            each.most_vendor_calls,
            each.operations,
            each.most_operations,
            each.cores,
            each.busiest,
            each.engine,
            each.engine_busiest,
            each.memory,
            each.engine_memory,
        )
        replicas = "—" if each.replicas is None else str(each.replicas)
        figures = " | ".join(number(value) for value in values)
        lines.append(f"| {number(each.scenario.open)} | {each.scenario.mode} | {figures} | {replicas} |")
    return "\n".join(lines)


def constants_table(constants: Constants) -> str:
    """What was measured, in two lines."""
    values = {name: value for name, value in asdict(constants).items() if isinstance(value, float)}
    named = ", ".join(f"{name} {value:g}" for name, value in values.items())
    return f"Constants of {constants.measured} ({constants.machine}), in µs and KB: {named}."


def check_table(compared: Sequence[Compared]) -> str:
    """A line for each way to follow."""
    lines = [
        "| callers are | vendor calls, simulated | counted | | engine operations, simulated | counted | |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for each in compared:
        simulated, counted = each.simulated, each.counted
        lines.append(
            f"| {each.mode} | {simulated.vendor_calls:.0f} | {counted.vendor_calls} | {each.vendor_calls:+.1%} "
            f"| {simulated.engine_operations:.0f} | {counted.engine_operations} | {each.engine_operations:+.1%} |"
        )
    held = "All are" if all(each.held for each in compared) else "NOT all are"
    return "\n".join([*lines, "", f"{held} within {MOST:.0%}."])
