"""The dashboards as Grafana reads them, by its foundation SDK."""

import json
from itertools import count

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from .panels import Dashboard, Panel

_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT, _NUMBER_HEIGHT = 8, 4
_JOBS = 'label_values(grpc_server_handled_total{grpc_service="callrequest.v1.CallRequestService"}, job)'
_INSTANCES = 'label_values(grpc_server_handled_total{job=~"$job"}, instance)'


def as_json(board: Dashboard) -> str:
    """The dashboard's JSON, for Grafana's provisioning or import."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.note)
        .tags(["call-request-gateway"])
        .refresh("1m")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_variable("job", _JOBS))
        .with_variable(_variable("instance", _INSTANCES))
    )
    number = count(1)
    for section in board.sections:
        builder = builder.with_row(dashboard.Row(section.title).id(next(number)))
        for panel in section.panels:
            builder = builder.with_panel(_panel(panel).id(next(number)))
    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(builder.build())), indent=2, sort_keys=True) + "\n"


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name)
        .query(query)
        .datasource(_SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .multi(True)
        .current(models.VariableOption(text="All", value="$__all"))
    )


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    builder: stat.Panel | timeseries.Panel
    if panel.kind == "number":
        builder = (
            stat.Panel()
            .height(_NUMBER_HEIGHT)
            .graph_mode(common_models.BigValueGraphMode.AREA)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        )
    else:
        builder = (
            timeseries.Panel()
            .height(_HEIGHT)
            .min(0)
            .fill_opacity(10)
            .show_points(common_models.VisibilityMode.NEVER)
            .legend(
                common.VizLegendOptions()
                .display_mode(common_models.LegendDisplayMode.LIST)
                .placement(common_models.LegendPlacement.BOTTOM)
                .show_legend(True)
            )
            .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        )
        if panel.kind == "stacked":
            builder = builder.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    builder = builder.title(panel.title).unit(panel.unit).span(panel.width).datasource(_SOURCE)
    if panel.note:
        builder = builder.description(panel.note)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number)).datasource(_SOURCE)
        builder = builder.with_target(target.legend_format(query.legend) if query.legend else target)
    return builder
