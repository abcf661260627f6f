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


class Lists(NamedTuple):
    """What users get, and what a challenger in the shadow would give them: none, or one a user."""

    published: list[VersionedList]
    shadow: list[VersionedList]


def lists_of(serving: Serving, scenario: Scenario, users: Sequence[UserState]) -> Lists:
    """The lists of the users; blocks. Raises ``StoreUnavailable`` or ``StoreError``.

    A challenger that fails is dropped, and the champion answers everybody.
    """
    made = _made(serving.generation, scenario, users)
    challenger = serving.challenger
    if challenger is None or not users:
        return Lists(made, [])
    try:
        return _challenged(serving, challenger, scenario, users, made)
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("the challenger %s fails and is dropped", challenger.generation.version)
        serving.challenger = None
        serving.metrics.release_refusals.labels("challenger").inc()
        return Lists(made, [])


def _challenged(
    serving: Serving,
    challenger: Challenger,
    scenario: Scenario,
    users: Sequence[UserState],
    made: list[VersionedList],
) -> Lists:
    if challenger.mode == "shadow":
        shadow = _made(challenger.generation, scenario, challenger.seen(users))
        for own, other in zip(made, shadow, strict=True):
            serving.metrics.shadow_overlap.labels(other.version).observe(overlap(own, other))
        return Lists(made, shadow)
    places = [place for place, user in enumerate(users) if challenger.answers(user.user_id)]
    seen = challenger.seen([users[place] for place in places])
    answered = dict(zip(places, _made(challenger.generation, scenario, seen), strict=True))
    return Lists([answered.get(place, own) for place, own in enumerate(made)], [])


def _made(generation: Generation, scenario: Scenario, users: Sequence[UserState]) -> list[VersionedList]:
    lists = generation.recommender.recommend(scenario, [query_of(user, scenario) for user in users])
    return [VersionedList(items, generation.version) for items in lists]


def overlap(champion: VersionedList, challenger: VersionedList) -> float:
    """The share of the champion's items that the challenger recommends as well, 0 to 1."""
    both = {one.item_id for one in champion.items} & {one.item_id for one in challenger.items}
    return len(both) / max(1, len(champion.items))
