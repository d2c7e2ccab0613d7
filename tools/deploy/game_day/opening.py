"""What the operator reads first."""

from pathlib import Path

from tools.contract import ROOT

from .callers import NAMES, token_of
from .control import COMMANDS, LOOKS
from .folder import REPORT
from .installation import DAY, FACTOR, Installation
from .night import BOUND

PROGRAM = ".venv/bin/python -m tools.deploy.game_day"


def opening(site: Installation, folder: Path) -> str:
    """The text, with the addresses of this night."""
    width = max(len(f"{name} {what[0]}") for name, what in (LOOKS | COMMANDS).items()) + 2
    looks, commands = (
        "\n".join(f"  game_day {f'{name} {words}':{width}}{text}" for name, (words, text) in each.items())
        for each in (LOOKS, COMMANDS)
    )
    return f"""\
You are on call tonight for call-request-gateway: two replicas in front of a vendor, which wants a client certificate
of ours and our secret; an engine (Valkey: three servers, three sentinels) by which the replicas share results; and
callers, all night: {", ".join(name for name in NAMES if name != "operator")}. Nothing restarts by itself.

Some things will go wrong, one after the other. Find each cause, say what it is, and do what the runbook says:
docs/runbook.md, docs/alerts.md, and what they link to. Not every alert is about a cause: some follow from another.

The commands run in {ROOT}, as `{PROGRAM} ...`:

{looks}

Prometheus: {site.prometheus.address} (/alerts, /api/v1/alerts, /api/v1/query?query=...)
{_replicas(site)}
Each has settings, gateway.log and pid in {folder}/replica-N.
Changed settings hold from the replica's next start.
Shared by both, in {folder}: callers.toml, secrets/, vendor-tls/.
Your token: call-request-gateway call --token {token_of("operator")} ...

What a platform and its people do at your word:

{commands}

Times are shortened, or a night would take a night. In Prometheus' rules each window and each `for` is a {FACTOR}th:
5 minutes are {300 / FACTOR:g} seconds. In the runbook's queries write [{300 / FACTOR:g}s] for [5m] and so on,
and `offset 2m` where one compares with a day or an hour ago: this Prometheus is as old as the night.
In the rules about certificates a day is {DAY:g} seconds: GatewayCertificateEndsSoon fires {14 * DAY / 60:g} minutes
before an end, GatewayCertificateEnds {2 * DAY:g} seconds.
Prometheus scrapes every 2 seconds. Each trouble ends after {BOUND:g} seconds even if nobody does anything.
The night ends by itself after its last trouble, or with `end`; its report is {folder}/{REPORT} then.
Nothing else in {folder} is for you, nor are tools/ and testkit/.
"""


def _replicas(site: Installation) -> str:
    return "\n".join(
        f"Replica {each.number}: calls at {each.target}, status page and metrics at http://{each.metrics}/"
        for each in site.replicas
    )
