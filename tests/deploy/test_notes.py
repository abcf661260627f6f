"""What the chart says after its installation, rendered: Helm itself shows it on a cluster alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.chart import CASES, CHART, helm

SAID = {
    "demo": (
        "service/shop-freshet-ui 8090:8090",
        "NOT FOR PRODUCTION: demo.kafka, demo.qdrant, demo.model forget",
    ),
    "small": ("Qdrant's engine runs inside the one worker", "No trainer runs"),
    "production": ("kubectl -n kafka get kafkatopics", "clicks at events-kafka-bootstrap.kafka:9093"),
}


@pytest.mark.parametrize("case", SAID)
def test_notes_say_what_to_do_next(case: str, tmp_path: Path) -> None:
    chart = tmp_path / "freshet"
    shutil.copytree(CHART, chart)
    (chart / "templates" / "NOTES.txt").rename(chart / "templates" / "notes.yaml")
    files = [argument for name in CASES[case].files for argument in ("--values", str(CHART / name))]
    shown = ["--namespace", "shop", "--show-only", "templates/notes.yaml", "--debug"]
    notes = helm("template", "shop", str(chart), *shown, *files, values=CASES[case].values).stdout
    assert [one for one in SAID[case] if one not in notes] == []
    assert "<no value>" not in notes
