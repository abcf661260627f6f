"""Whose list a user gets: the champion's or a challenger's; and what one in the shadow would say."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from encoders.errors import StoreUnavailable
from streams.challenger import Challenger
from streams.generation import Generation
from streams.messages import RecommendedItem
from streams.recommending import query_of
from streams.scenarios import Scenario
from streams.serving import Serving
from streams.state import UserState

log = logging.getLogger(__name__)


class VersionedList(NamedTuple):
    """A list, and the version of the model that made it."""

    items: list[RecommendedItem]
    version: str


def lists_of(serving: Serving, scenario: Scenario, users: Sequence[UserState]) -> list[VersionedList]:
    """The list that each user gets; blocks. Raises ``StoreUnavailable`` or ``StoreError``.

    A challenger that fails is dropped, and the champion answers everybody.
    """
    made = _made(serving.generation, scenario, users)
    challenger = serving.challenger
    if challenger is None or not users:
        return made
    try:
        return _challenged(serving, challenger, scenario, users, made)
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("the challenger %s fails and is dropped", challenger.generation.version)
        serving.challenger = None
        serving.metrics.release_refusals.labels("challenger").inc()
        return made


def _challenged(
    serving: Serving,
    challenger: Challenger,
    scenario: Scenario,
    users: Sequence[UserState],
    made: list[VersionedList],
) -> list[VersionedList]:
    shadow = challenger.mode == "shadow"
    places = [place for place, user in enumerate(users) if shadow or challenger.answers(user.user_id)]
    if not places:
        return made
    seen = challenger.seen([users[place] for place in places])
    for place, other in zip(places, _made(challenger.generation, scenario, seen), strict=True):
        if shadow:
            serving.metrics.shadow_overlap.labels(other.version).observe(overlap(made[place], other))
        else:
            made[place] = other
    return made


def _made(generation: Generation, scenario: Scenario, users: Sequence[UserState]) -> list[VersionedList]:
    lists = generation.recommender.recommend(scenario, [query_of(user, scenario) for user in users])
    return [VersionedList(items, generation.version) for items in lists]


def overlap(champion: VersionedList, challenger: VersionedList) -> float:
    """The share of the champion's items that the challenger recommends as well, 0 to 1."""
    both = {one.item_id for one in champion.items} & {one.item_id for one in challenger.items}
    return len(both) / max(1, len(champion.items))
