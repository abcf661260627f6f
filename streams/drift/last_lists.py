"""What each user was recommended last, against what the user did next: test, then learn. Pure.

Prequential evaluation (Gama, Sebastião and Rodrigues, Machine Learning 2013) with the delay that real
feedback has: an event is compared with the list that was published before it, and counts for the version that
made this list. No list is compared with more events than it has places: an invoice of 500 lines, of which a
list of ten can hold ten at most, would be nearly an alarm by itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log2

from streams.messages import Recommendation

MISSED = 0
"""In place of a rank where the item was not in the list."""


@dataclass(slots=True)
class _Shown:
    """What a user was shown at a time."""

    lists: Mapping[str, tuple[str, ...]]
    """Version -> its items, best first."""
    left: int
    """Events that they may yet be compared with."""


class LastLists:
    """The last lists of the users seen latest; about 0.5 kB a user at ten items."""

    def __init__(self, users: int, k: int) -> None:
        """``users`` are kept, and ``k`` items of a list."""
        self._users, self._k = users, k
        self._shown: OrderedDict[str, _Shown] = OrderedDict()

    def __len__(self) -> int:
        return len(self._shown)

    def ranks(self, user_id: str, item_id: str) -> list[tuple[str, int]]:
        """(version, place of the item from 1, or ``MISSED``) for each version whose list the user had.

        Nothing for the events after the first k of a list.
        """
        shown = self._shown.get(user_id)
        if shown is None or not shown.left:
            return []
        shown.left -= 1
        return [
            (version, items.index(item_id) + 1 if item_id in items else MISSED)
            for version, items in shown.lists.items()
        ]

    def remember(self, published: Iterable[Recommendation]) -> None:
        """Lists in place of their users' earlier ones; a user may have one of each of several versions."""
        fresh: dict[str, dict[str, tuple[str, ...]]] = {}
        for one in published:
            items = tuple(item.item_id for item in one.items[: self._k])
            fresh.setdefault(one.user_id, {})[one.model_version] = items
        for user_id, lists in fresh.items():
            self._shown[user_id] = _Shown(lists, self._k)
            self._shown.move_to_end(user_id)
        while len(self._shown) > self._users:
            self._shown.popitem(last=False)


def gain(rank: int) -> float:
    """NDCG of a list with one relevant item at ``rank``: 1 / log2(1 + rank), 0 for ``MISSED``."""
    return 1.0 / log2(1 + rank) if rank else 0.0
