"""Real events in random order: a stream that does not change, with users and items as they are."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from encoders.datasets import load
from streams.settings_sections import DriftSettings
from tests.support.drifting_shop import Behaviour, judged

pytestmark = pytest.mark.data
TEXT_DIM = 64


class Recorded:
    """A data set in random order, as the made-up shop gives its events; a text is the mean of its words."""

    def __init__(self, name: str, path: Path, seed: int) -> None:
        dataset = load(name, path)
        self.seed, self.users = seed, 50_000
        self.rng = np.random.default_rng(seed)
        self.behaviour = Behaviour(np.ones(1))
        texts = {item.item_id: item.text for item in dataset.items}
        narrowest = {item.item_id: (*item.categories, "none")[-2:][0] for item in dataset.items}
        self._texts = {f"{narrowest[one]}-{one}": text for one, text in texts.items()}
        found = [(one.user_id, f"{narrowest[one.item_id]}-{one.item_id}") for one in dataset.interactions()]
        self._events = [found[at] for at in self.rng.permutation(len(found))[:100_000]]

    def draw(self, behaviour: Behaviour, n: int) -> list[tuple[str, str, bool]]:
        """(user, item, cold) of the first n events."""
        counts: dict[str, int] = {}
        drawn = []
        for user, item in self._events[:n]:
            drawn.append((user, item, counts.get(item, 0) < 5))
            counts[item] = counts.get(item, 0) + 1
        return drawn

    def text(self, item_id: str) -> npt.NDArray[np.float32]:
        words = self._texts[item_id].lower().split() or [""]
        return np.mean([word_vector(word) for word in words], axis=0, dtype=np.float32)


@cache
def word_vector(word: str) -> npt.NDArray[np.float32]:
    seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(TEXT_DIM).astype(np.float32)


def test_films_in_random_order_ask_for_no_training(data_dir: Path) -> None:
    films = Recorded("movielens", data_dir / "ml-100k", seed=1)
    decisions = [one.decision for _, one in judged(films, [(films.behaviour, 100_000)], DriftSettings())]
    assert len(decisions) == 50
    assert set(decisions) <= {"learning", "none", "warning"}
