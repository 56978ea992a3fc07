"""The pieces that all boards are made of: variables, links, annotations, and each kind of panel.

A panel's description says what it shows and what good looks like: it is read by somebody who was woken up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, nodegraph, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.rules.settings import Settings

DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="$datasource")
RUNBOOKS = Settings().runbooks
"""Where the pages of docs/runbooks/ are served: the alerts' own setting."""
TAG = "sidecar"
"""Every board has it, and the links between boards are found by it."""

NOTHING = "none in this time"
"""Shown in place of "No data" where it is good news."""


@dataclass(frozen=True, slots=True)
class Query:
    """One line, column or number of a panel."""

    expr: str
    legend: str = ""
    """`{{label}}` takes a label's value. In a table: the name of the column."""
    exemplars: bool = False
    """Also ask for single traces behind the numbers."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `kind` is lines, bars, number, gauges, table or graph."""

    kind: str
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    height: int = 8
    stacked: bool = False
    limits: tuple[tuple[float, str], ...] = ()
    """From which value on it has which colour; green below."""
    empty: str = ""
    """Said where nothing is found, if that may well be."""
    columns: dict[str, Column] = field(default_factory=dict)
    most: float | None = None
    alerts: tuple[str, ...] = ()
    """Alerts about what is shown here, without `Sidecar` before them: their runbooks are links of the panel."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a table is shown."""

    title: str = ""
    unit: str = ""
    link: str = ""
    limits: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `name` is the file's, and with a prefix its uid."""

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[dashboard.QueryVariable | dashboard.CustomVariable, ...] = ()
    range: str = "now-1h"

    @property
    def uid(self) -> str:
        return f"sidecar-{self.name}"


def lines(title: str, description: str, *queries: Query, **more: Any) -> Panel:
    return Panel("lines", title, description, queries, **more)


def bars(title: str, description: str, *queries: Query, **more: Any) -> Panel:
    """Counts in each interval: events are seen better as bars than as rates."""
    return Panel("bars", title, description, queries, stacked=True, **more)


def number(title: str, description: str, *queries: Query, **more: Any) -> Panel:
    return replace(Panel("number", title, description, queries, **{"width": 4, "height": 4, **more}))


def gauges(title: str, description: str, *queries: Query, **more: Any) -> Panel:
    return Panel("gauges", title, description, queries, **more)


def rows_of(title: str, description: str, *queries: Query, **more: Any) -> Panel:
    """A table: a row for each set of labels, a column for each query."""
    return Panel("table", title, description, queries, **{"width": 12, **more})


def graph(title: str, description: str, *queries: Query, **more: Any) -> Panel:
    """Nodes and edges. The first query is an edge's main figure, the second its other one."""
    return Panel("graph", title, description, queries, **{"width": 12, "height": 14, **more})


# --- variables ---------------------------------------------------------------------------------------------------


def choice(name: str, label: str, query: str, description: str, *, multi: bool = True) -> dashboard.QueryVariable:
    """A variable that is filled from the labels of a metric, again whenever the time range changes."""
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi)
        .include_all(multi)
    )
    if multi:
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        variable.all_value(".+").current(everything)
    return variable


def side(default: str) -> dashboard.CustomVariable:
    other = {"inbound": "outbound", "outbound": "inbound"}[default]
    return (
        dashboard.CustomVariable("side")
        .label("Counted by")
        .description(
            "Which sidecar counts a call that passes two: inbound is the callee's, outbound the caller's. Choose "
            "outbound where callees have no sidecar."
        )
        .values(f"{default},{other}")
        .current(models.VariableOption(selected=True, text=default, value=default))
    )


def everywhere() -> list[Any]:
    """The variables that every board has."""
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        choice("job", "Job", "label_values(sidecar_build_info, job)", "What Prometheus calls the fleet of sidecars."),
        choice(
            "instance",
            "Instance",
            'label_values(sidecar_build_info{job=~"$job"}, instance)',
            "One sidecar: the address that is scraped.",
        ),
    ]


# --- a board -----------------------------------------------------------------------------------------------------


def build(board: Board) -> dict[str, Any]:
    """The JSON of a board, as Grafana reads it from a file."""
    built = (
        dashboard.Dashboard(f"Sidecar / {board.title}")
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time(board.range, "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .version(1)
        .variables([*everywhere(), *board.variables])
        .annotations([alerts_firing(), restarts()])
        .links([boards_link(), runbooks_link()])
    )
    number_of_panel = 0
    for row in board.rows:
        number_of_panel += 1
        built.with_row(dashboard.Row(row.title).id(number_of_panel))
        for panel in row.panels:
            number_of_panel += 1
            built.with_panel(drawn(panel).id(number_of_panel))
    whole: dict[str, Any] = json.loads(JSONEncoder().encode(built.build()))
    return shown_openly(whole)


def shown_openly(board: dict[str, Any]) -> dict[str, Any]:
    """Without the generator's wish to put links and annotations into a menu: what is hidden helps nobody at night."""
    of_panels = [link for panel in board["panels"] for link in panel.get("links", ())]
    for each in (*board["links"], *board["annotations"]["list"], *of_panels):
        each.pop("placement", None)
    return board


def boards_link() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Sidecar boards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def runbooks_link() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Runbooks")
        .type(models.DashboardLinkType.LINK)
        .url(f"{RUNBOOKS}/README.md")
        .icon("doc")
        .tooltip("What to do when an alert fires")
        .target_blank(True)
    )


def runbook_link(alert: str) -> dashboard.DashboardLink:
    """As it stands on a panel."""
    name = f"Sidecar{alert}"
    return (
        dashboard.DashboardLink(f"Runbook: {name}")
        .type(models.DashboardLinkType.LINK)
        .url(f"{RUNBOOKS}/{name.lower()}.md")
        .target_blank(True)
    )


def alerts_firing() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Alerts")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("red")
        .expr('ALERTS{alertname=~"Sidecar.+", alertstate="firing"}')
        .title_format("{{alertname}}")
        .text_format("{{severity}} {{callee}}{{agent}}{{verifier}}{{budget}}")
        .step("60s")
    )


def restarts() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Restarts")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("blue")
        .expr('changes(process_start_time_seconds{job=~"$job", instance=~"$instance"}[2m]) > 0')
        .title_format("{{instance}} restarted")
        .step("60s")
    )


# --- panels ------------------------------------------------------------------------------------------------------


def drawn(panel: Panel) -> Any:
    """The SDK's builder of this panel."""
    builder = DRAWINGS[panel.kind](panel)
    builder.title(panel.title).description(panel.description).datasource(DATASOURCE)
    builder.span(panel.width).height(panel.height).unit(panel.unit)
    builder.targets([target(panel, query, letter) for query, letter in zip(panel.queries, letters(panel), strict=True)])
    if panel.empty:
        builder.no_value(panel.empty)
    if panel.limits:
        builder.thresholds(thresholds(panel.limits))
    if panel.most is not None:
        builder.max(panel.most)
    if panel.alerts:
        builder.links([runbook_link(alert) for alert in panel.alerts])
    return builder


def letters(panel: Panel) -> Sequence[str]:
    return ("edges", "more")[: len(panel.queries)] if panel.kind == "graph" else "ABCDEFGHIJ"[: len(panel.queries)]


def target(panel: Panel, query: Query, letter: str) -> prometheus.Dataquery:
    built = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(DATASOURCE).legend_format(query.legend)
    if panel.kind in ("table", "graph"):
        return built.instant().format(PromQueryFormat.TABLE)
    if panel.kind == "gauges":
        return built.instant().format(PromQueryFormat.TIME_SERIES)
    built.range().format(PromQueryFormat.TIME_SERIES)
    return built.exemplar(True) if query.exemplars else built


def thresholds(limits: tuple[tuple[float, str], ...]) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(value=None, color="green"), *(models.Threshold(value=v, color=c) for v, c in limits)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def draw_lines(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(common_models.LegendDisplayMode.TABLE)
        .placement(common_models.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max", "mean"] if panel.kind == "lines" else ["sum"])
    )
    tooltip = (
        common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI).sort(common_models.SortOrder.DESCENDING)
    )
    built = timeseries.Panel().legend(legend).tooltip(tooltip).min(0)
    if panel.kind == "bars":
        built.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(60).line_width(0)
    else:
        built.draw_style(common_models.GraphDrawStyle.LINE).fill_opacity(20 if panel.stacked else 5).line_width(1)
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    return built


def draw_number(panel: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .text_mode(
            common_models.BigValueTextMode.VALUE if len(panel.queries) == 1 else common_models.BigValueTextMode.AUTO
        )
    )


def draw_gauges(_: Panel) -> bargauge.Panel:
    return (
        bargauge.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .min(0)
    )


def draw_table(panel: Panel) -> table.Panel:
    """One table of all queries: rows are joined by their labels, and `Value #A` gets the query's legend for a name."""
    names = {"Value": panel.queries[0].legend}
    if len(panel.queries) > 1:
        names = {f"Value #{letter}": query.legend for letter, query in zip(letters(panel), panel.queries, strict=True)}
    names |= {name: column.title for name, column in panel.columns.items() if column.title}
    built = (
        table.Panel()
        .filterable(True)
        .transformations(
            [
                models.DataTransformerConfig(id_val="merge", options={}),
                models.DataTransformerConfig(
                    id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": names}
                ),
            ]
        )
    )
    for name, column in panel.columns.items():
        built.override_by_name(names.get(name, name), properties_of(column))
    if panel.queries[0].legend:
        built.sort_by([common.TableSortByFieldState().display_name(panel.queries[0].legend).desc(True)])
    return built


def properties_of(column: Column) -> list[models.DynamicConfigValue]:
    found: list[models.DynamicConfigValue] = []
    if column.unit:
        found.append(models.DynamicConfigValue(id_val="unit", value=column.unit))
    if column.link:
        link = [{"title": "Open ${__value.text}", "url": column.link}]
        found.append(models.DynamicConfigValue(id_val="links", value=link))
    if column.limits:
        steps = [{"value": None, "color": "green"}, *({"value": v, "color": c} for v, c in column.limits)]
        found += [
            models.DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps}),
            models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ]
    return found


def draw_graph(panel: Panel) -> nodegraph.Panel:
    """Edges alone: Grafana makes the nodes of them, each with the sum of what comes in.

    It takes a frame with a field `source` for edges, and of that the fields id, source, target, mainstat and
    secondarystat. So the query makes the first three labels, and the transformations name the values.
    """
    names = {"Value #edges": "mainstat", "Value #more": "secondarystat"}
    hidden = dict.fromkeys(("Time", "caller", "callee"), True)
    return (
        nodegraph.Panel()
        .edges(nodegraph.EdgeOptions().main_stat_unit(panel.unit).secondary_stat_unit(panel.unit))
        .nodes(nodegraph.NodeOptions().main_stat_unit(panel.unit).secondary_stat_unit(panel.unit))
        .transformations(
            [
                models.DataTransformerConfig(id_val="merge", options={}),
                models.DataTransformerConfig(
                    id_val="organize", options={"excludeByName": hidden, "renameByName": names}
                ),
            ]
        )
    )


DRAWINGS = {
    "lines": draw_lines,
    "bars": draw_lines,
    "number": draw_number,
    "gauges": draw_gauges,
    "table": draw_table,
    "graph": draw_graph,
}


def edges(expr: str) -> str:
    """The same figures for each caller and callee, with the labels that a graph wants."""
    named = f'label_replace(label_replace({expr}, "source", "$1", "caller", "(.*)"), "target", "$1", "callee", "(.*)")'
    return f'label_join({named}, "id", " → ", "caller", "callee")'


def to_agent(label: str = "") -> str:
    """The address of the board of the agent whose name was clicked."""
    value = f"${{__data.fields.{label}}}" if label else "${__value.text}"
    return f"/d/sidecar-agent?var-agent={value}&${{datasource:queryparam}}&${{job:queryparam}}&${{__url_time_range}}"
