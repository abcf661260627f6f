"""The conventions of the dashboards: explained, with units, with variables, without anything of one place."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporters.metrics import Metrics
from streams.trainer.metrics import TrainerMetrics
from tests.deploy.chart import CASES, Rendered, template
from tests.deploy.dashboards import BOARDS, METRIC, RULES, Board, Query, panels, queries
from tests.deploy.tools import tool

PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SUFFIXES = ("_bucket", "_sum", "_count", "_total", "")
FAMILIES = {family.name for metrics in (Metrics(), TrainerMetrics()) for family in metrics.registry.collect()}
UNSEEN = {
    # What Python and the kernel say; resident memory is the figure that counts.
    "freshet_process_virtual_memory_bytes",
}


def named(queries: list[str]) -> set[str]:
    """The metrics that expressions name, without the endings of histograms and counters."""
    found = {name for expr in queries for name in METRIC.findall(expr)}
    return {
        next((name.removesuffix(one) for one in SUFFIXES if name.removesuffix(one) in FAMILIES), name)
        for name in found
    }


def rules() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def covered(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two places of the grid overlap."""
    apart = (
        one["x"] + one["w"] <= other["x"]
        or other["x"] + other["w"] <= one["x"]
        or one["y"] + one["h"] <= other["y"]
        or other["y"] + other["h"] <= one["y"]
    )
    return not apart


def test_the_four_are_there_under_names_of_their_own() -> None:
    assert BOARDS.keys() == {"overview", "quality", "drift-training", "resources"}
    assert {board["uid"] for board in BOARDS.values()} == {f"freshet-{name}" for name in BOARDS}


@pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=lambda one: one if isinstance(one, str) else one["title"]
)
def test_a_panel_is_explained_has_a_unit_and_says_so_when_it_is_empty(
    name: str, panel: dict[str, Any]
) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"]
    assert all(target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_the_source_of_data_is_chosen_on_the_dashboard(board: Board) -> None:
    variables = board["templating"]["list"]
    sources = [one["datasource"] for one in [*panels(board), *board["annotations"]["list"], *variables[1:]]]
    sources += [target["datasource"] for panel in panels(board) for target in panel["targets"]]
    assert variables[0] == {**variables[0], "name": "datasource", "type": "datasource", "query": "prometheus"}
    assert all(source == DATASOURCE for source in sources)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_variables_are_those_that_are_used(board: Board) -> None:
    declared = {one["name"] for one in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", str(board)))
    assert used == declared


@pytest.mark.parametrize("query", list(queries()), ids=lambda one: f"{one.board}: {one.panel}")
def test_an_expression_is_about_the_chosen_namespaces_and_no_place_of_its_own(query: Query) -> None:
    selectors = re.findall(r"\{([^}]*)\}", query.expr)
    assert len(selectors) == len(METRIC.findall(query.expr))
    assert all('namespace=~"$namespace"' in one for one in selectors)
    assert not re.search(r'(instance|job|pod)=~?"(?!\$instance")', query.expr)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_lie_beside_each_other(board: Board) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not [pair for pair in combinations(places, 2) if covered(*pair)]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_metric_is_on_a_dashboard() -> None:
    shown = named(
        [query.expr for query in queries()] + [rule["expr"] for rule in rules() if "record" in rule]
    )
    assert FAMILIES - shown == UNSEEN


def test_every_name_is_a_metric_or_a_recorded_series() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = named([query.expr for query in queries()] + [rule["expr"] for rule in rules()])
    assert asked - recorded - FAMILIES == {"ALERTS"}


def test_the_chart_brings_dashboards_and_rules_as_they_are() -> None:
    result = template(CASES["production"])
    assert result.returncode == 0, result.stderr
    manifests = Rendered(result.stdout)
    found = {name: text for one in manifests.of("ConfigMap") for name, text in one["data"].items()}
    assert {name: json.loads(found[f"{name}.json"]) for name in BOARDS} == BOARDS
    shipped = [group["name"] for one in manifests.of("PrometheusRule") for group in one["spec"]["groups"]]
    assert sorted(shipped) == sorted(
        group["name"] for path in RULES for group in yaml.safe_load(path.read_text())["groups"]
    )


def test_promtool_takes_every_expression(tmp_path: Path) -> None:
    given = [
        {"record": f"freshet:query_{number}:parsed", "expr": query.filled("1m")}
        for number, query in enumerate(queries())
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": given}]}))
    result = subprocess.run([tool("promtool"), "check", "rules", str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
