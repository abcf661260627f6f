"""Published lists in the metrics: why items are on them, and how many different ones."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from exporters.metrics import Metrics
from streams.messages import Reason, ReasonKind, Recommendation, RecommendedItem, Trigger
from streams.published import PublishedLists


def made(item_ids: Sequence[str], kind: ReasonKind = "new", scenario: str = "home") -> Recommendation:
    return Recommendation(
        user_id="u",
        scenario=scenario,
        items=[RecommendedItem(one, 1.0, Reason(kind)) for one in item_ids],
        model_version="v1",
        trigger=Trigger("clicks", "e", "i"),
        event_time=0,
        generated_at=0,
    )


def test_items_count_by_scenario_and_reason() -> None:
    metrics = Metrics()
    PublishedLists(metrics).note([made("ab", "explored"), made("bc", "explored"), made("a", scenario="cart")])
    page = metrics.exposition().decode().splitlines()
    assert {
        'freshet_listed_items_total{reason="explored",scenario="home"} 4.0',
        'freshet_listed_items_total{reason="new",scenario="cart"} 1.0',
        'freshet_recommendations_total{model_version="v1"} 3.0',
    } <= set(page)


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True)), st.integers(1, 4))
def test_different_items_are_those_of_the_latest_lists(lists: list[list[str]], latest: int) -> None:
    metrics = Metrics()
    published = PublishedLists(metrics, latest)
    for one in lists:
        published.note([made(one)])
    found = metrics.registry.get_sample_value("freshet_distinct_listed_items")
    assert found == len({item for one in lists[-latest:] for item in one})
