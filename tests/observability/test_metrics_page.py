"""The page on metrics: what a gateway exposes is on it, and nothing else."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from server.app import Gateway
from server.cancelling.cancellation import SETTLED_BY
from server.observability.metrics import Metrics
from server.observability.worker_metrics import AggregatedMetrics
from server.reading.vendor_reads import SOURCES
from server.vendor_api.exchange import OPERATIONS, OUTCOMES
from server.watching.ended import CAUSES
from testkit.gateway import metrics_of

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
TYPE = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)


async def test_every_metric_is_on_the_page_and_no_other(gateway: Gateway, tmp_path: Path) -> None:
    """Name and type of each family: of one gateway, of one with an engine, and of the supervisor of several workers."""
    with_engine = Metrics()
    with_engine.set_state_up(False)
    exposed = set(TYPE.findall(await metrics_of(gateway) + with_engine.exposition().decode()))
    aggregated = AggregatedMetrics(str(tmp_path), lambda: {"supervisor": os.getpid()})
    exposed |= set(TYPE.findall(aggregated.exposition().decode()))
    assert sorted(re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", PAGE, re.MULTILINE)) == sorted(exposed)


@pytest.mark.parametrize(
    ("label", "values"),
    [
        pytest.param("settled_by", SETTLED_BY, id="what settles a cancel"),
        pytest.param("source", SOURCES, id="where answers come from"),
        pytest.param("operation", OPERATIONS, id="what is asked of the vendor"),
        pytest.param("outcome", OUTCOMES, id="how requests to the vendor end"),
        pytest.param("cause", CAUSES, id="what ends a watch"),
    ],
)
def test_every_value_of_a_label_is_on_the_page(label: str, values: Iterable[str]) -> None:
    """Those that a table of ours has."""
    assert f"`{label}`" in PAGE
    assert [value for value in values if f"`{value}`" not in PAGE] == []
