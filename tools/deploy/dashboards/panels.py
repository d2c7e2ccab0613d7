"""What a dashboard is made of."""

from typing import NamedTuple


class Query(NamedTuple):
    """expr: in PromQL, with Grafana's `$job` and `$__rate_interval`. legend: in Grafana's notation, `{{label}}`."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """unit: one of Grafana's names. kind: `lines`, `stacked`, `number`. width: of 24. note: what to see in it.

    needs: what must have happened, or be set, for it to show anything; empty: it always shows something.
    """

    title: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "lines"
    width: int = 8
    note: str = ""


class Section(NamedTuple):
    title: str
    panels: tuple[Panel, ...]


class Dashboard(NamedTuple):
    """uid: also the name of its file."""

    uid: str
    title: str
    note: str
    sections: tuple[Section, ...]

    @property
    def panels(self) -> list[Panel]:
        """All of them, in order."""
        return [panel for section in self.sections for panel in section.panels]
