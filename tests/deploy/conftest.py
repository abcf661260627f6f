from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.deploy.chart import CASES, Rendered, template

INSTALL_SECONDS = 1_500
"""Go builds helm once: minutes, on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(INSTALL_SECONDS))


@cache
def _render(case: str) -> Rendered:
    result = template(CASES[case])
    assert result.returncode == 0, result.stderr
    return Rendered(result.stdout)


@pytest.fixture(params=CASES)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """The manifests of each case in turn; every case is rendered once."""
    return _render(request.param)
