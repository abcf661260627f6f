"""What the page says of reasons and interests."""

from __future__ import annotations

from typing import get_args

import pytest

from streams.messages import ReasonKind
from streams.ui.words import NAMED, interests_in_words, reason_in_words


def title(item_id: str) -> str:
    return {"pot": "Tea pot"}.get(item_id, item_id)


@pytest.mark.parametrize("kind", get_args(ReasonKind))
def test_every_reason_is_said_in_words_of_its_own(kind: str) -> None:
    said = reason_in_words({"kind": kind, "item_id": None}, title)
    assert said not in ("", kind)
    assert "None" not in said
    assert "{" not in said


@pytest.mark.parametrize("kind", ["similar_to", "together_with"])
def test_a_reason_names_the_item_that_it_rests_on(kind: str) -> None:
    assert "Tea pot" in reason_in_words({"kind": kind, "item_id": "pot"}, title)


def test_a_long_title_is_cut_within_a_reason() -> None:
    said = reason_in_words({"kind": "similar_to", "item_id": "word " * 100}, title)
    assert len(said) <= NAMED + len("similar to ")


def test_a_reason_of_a_newer_worker_is_said_as_it_comes() -> None:
    assert reason_in_words({"kind": "on_sale"}, title) == "on sale"


def interest(name: str, share: float) -> dict[str, object]:
    return {"categories": ["Home", name], "share": share}


@pytest.mark.parametrize(
    ("interests", "events", "said"),
    [
        ([], 0, "Nothing is known yet: the list is what is trending."),
        ([], 3, "No category stands out yet."),
        ([interest("Tea", 1.0)], 3, "Almost only Home › Tea."),
        ([interest("Tea", 0.7), interest("Pots", 0.3)], 3, "Mostly Home › Tea, then Home › Pots."),
        ([interest("Tea", 0.5), interest("Pots", 0.05)], 3, "Often Home › Tea."),
    ],
)
def test_interests_are_a_sentence(interests: list[dict[str, object]], events: int, said: str) -> None:
    assert interests_in_words(interests, events) == said
