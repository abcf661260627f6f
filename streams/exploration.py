"""Exploration: a share of the list for new items, which nobody could have liked yet. Pure.

Nothing is drawn at random: picks and places follow from a hash of ``seed_key`` (the user and the event that
is answered), so that a replay gives the same list.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b


def explore(
    ranked_ids: Sequence[str], new_ids: Sequence[str], share: float, k: int, seed_key: str
) -> tuple[list[str], list[bool]]:
    """The first k ranked items with new ones put among the lower half: (ids, whether each was explored).

    ``share`` (0 to 1) of k places are given away, never one of the first half of the list and never to an
    item that is there already; the ranked items keep their order, and what no longer fits falls off the end.
    """
    kept = list(ranked_ids[:k])
    wanted = min(int(share * k + 0.5), k // 2, len(kept))
    picks = _drawn(set(new_ids).difference(kept), wanted, seed_key) if wanted else []
    if not picks:
        return kept, [False] * len(kept)
    length = min(k, len(kept) + len(picks))
    lower = [str(place) for place in range((length + 1) // 2, length)]
    places = {int(place) for place in _drawn(set(lower), len(picks), seed_key)}
    ranked, new = iter(kept), iter(picks)
    flags = [place in places for place in range(length)]
    return [next(new) if explored else next(ranked) for explored in flags], flags


def _drawn(values: set[str], count: int, seed_key: str) -> list[str]:
    """``count`` of the values, each set of them equally likely; their order in the set does not matter."""
    key = blake2b(seed_key.encode("utf-8", "surrogatepass"), digest_size=32).digest()

    def lot(value: str) -> bytes:
        return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16, key=key).digest()

    return sorted(values, key=lot)[:count]
