"""A micro-batch that is worked out and not yet carried out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from exporters.publisher import Outgoing
from streams.fold_types import Folded, Received, Visited
from streams.messages import Recommendation
from streams.state import UserState


@dataclass(slots=True)
class Prepared:
    """What was decided for each user, and what is to be published; ``lost`` are users whose write lost."""

    users: list[UserState] = field(default_factory=list)
    folded: list[Folded] = field(default_factory=list)
    recommendations: list[Recommendation] = field(default_factory=list)
    shadow: list[Recommendation] = field(default_factory=list)
    """What a challenger in the shadow would publish."""
    evidence: list[Outgoing] = field(default_factory=list)

    def won(self, lost: set[str]) -> Iterator[Folded]:
        """What was decided for the users whose write did not lose."""
        return (one for user, one in zip(self.users, self.folded, strict=True) if user.user_id not in lost)

    def published(self, lost: set[str]) -> list[Recommendation]:
        """The recommendations of those users."""
        return [one for one in self.recommendations if one.user_id not in lost]

    def causes(self, due: Iterable[Recommendation]) -> Iterator[Received]:
        """The event that each of these recommendations follows."""
        refreshed = {
            user.user_id: one for user, one in zip(self.users, self.folded, strict=True) if one.refreshed
        }
        for one in due:
            yield refreshed[one.user_id].cause

    def compared(self, lost: set[str]) -> list[Recommendation]:
        """The same, and what a challenger would recommend them."""
        return [one for one in (*self.recommendations, *self.shadow) if one.user_id not in lost]


def applied_in(folded: Iterable[Folded]) -> list[Visited]:
    """Every event that was applied, in order."""
    return [one for each in folded for one in each.applied]
