"""The dashboards as Grafana reads them: panels, expressions, and the same with the variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FILES = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yaml"))
Board = dict[str, Any]
BOARDS: dict[str, Board] = {path.stem: json.loads(path.read_text()) for path in FILES}

METRIC = re.compile(r"\b(freshet[:_][a-z0-9_:]+|ALERTS)\b")


class Query(NamedTuple):
    """One expression of a panel; an annotation is a panel of that name."""

    board: str
    panel: str
    expr: str

    def filled(self, rate_interval: str) -> str:
        """As Prometheus gets it: all namespaces and instances."""
        chosen = {"$__rate_interval": rate_interval, "$namespace": ".*", "$instance": ".*", "$detector": ".*"}
        return re.sub(r"\$\w+", lambda found: chosen[found[0]], self.expr)


def panels(board: Board) -> list[dict[str, Any]]:
    """Those that show something: no rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Every expression of every dashboard."""
    for name, board in BOARDS.items():
        for one in board["annotations"]["list"]:
            yield Query(name, one["name"], one["expr"])
        for panel in panels(board):
            for target in panel["targets"]:
                yield Query(name, panel["title"], target["expr"])
