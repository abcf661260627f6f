"""Reasons, events and interests as a person would say them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import shorten
from typing import Any

NAMED = 48
"""Characters of an item's title within a reason."""
_REASONS = {
    "similar_to": "similar to {item}",
    "together_with": "others turned to it together with {item}",
    "trending": "trending now",
    "new": "new in the catalogue",
    "taste": "in the categories and prices of this shopper",
    "again": "turned to before, perhaps again",
    "explored": "new: shown to learn who likes it",
}
_NAMELESS = {"similar_to": "close to this shopper's interests", "together_with": "others turned to it, too"}
DID = {
    "click": "looked at",
    "purchase": "bought",
    "cart": "put into the cart",
    "dislike": "disliked",
    "rating": "rated",
}
"""Event type -> what the shopper did."""


def reason_in_words(reason: Mapping[str, Any], title: Callable[[str], str]) -> str:
    """A reason of a recommended item; ``title`` names an item by its id."""
    kind, item_id = str(reason.get("kind")), reason.get("item_id")
    if item_id is None and kind in _NAMELESS:
        return _NAMELESS[kind]
    return _REASONS.get(kind, kind.replace("_", " ")).format(
        item=shorten(title(str(item_id)), NAMED, placeholder=" …")
    )


def interests_in_words(interests: Sequence[Mapping[str, Any]], events: int) -> str:
    """A sentence on the categories (a list of names, and a share) of a shopper with so many events."""
    if not events:
        return "Nothing is known yet: the list is what is trending."
    if not interests:
        return "No category stands out yet."
    first, *rest = [(" › ".join(one["categories"]), float(one["share"])) for one in interests]
    others = [name for name, share in rest if share >= 0.1]
    sentence = f"{'Almost only' if first[1] > 0.9 else 'Mostly' if first[1] > 0.5 else 'Often'} {first[0]}"
    if others:
        sentence += f", then {' and '.join(others[:2])}"
    return f"{sentence}."
