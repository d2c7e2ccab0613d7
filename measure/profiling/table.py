"""A profile as a table in Markdown."""

from .budget import Steps
from .measure import Profile
from .steps import GRPC, OURS, STEPS


def table(profile: Profile, budget: Steps) -> str:
    """The budget against the measured, step by step; what is beyond its budget by more than noise is bold."""
    ours = sum(budget[step] for step in OURS), sum(profile.steps[step] for step in OURS)
    rows = [(step, budget[step], profile.steps[step]) for step in STEPS]
    rows += [("ours together", *ours), ("the whole call", budget[GRPC] + ours[0], profile.whole)]
    return "\n".join(
        [
            f"### {profile.kind.title}",
            "",
            "| step | budget, µs | measured, µs | share |",
            "|---|--:|--:|--:|",
            *(_row(profile, *row) for row in rows),
            "",
            f"The floor took {profile.floor:.0f} µs, a call {profile.whole / profile.floor:.2f} times that. "
            f"{profile.calls:,} calls; others had {profile.others:.0%} of the core.",
        ]
    )


def _row(profile: Profile, name: str, budget: float, measured: float) -> str:
    noise = profile.noise(measured)
    figure = f"{measured:.1f} ± {noise:.1f}" if noise else f"{measured:.1f}"
    if measured - noise > budget:
        figure = f"**{figure}**"
    return f"| {name} | {budget:.1f} | {figure} | {measured / profile.whole:.1%} |"
