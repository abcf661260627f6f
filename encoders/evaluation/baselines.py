"""The baselines of the progressive protocol by name, and how their settings were chosen.

One setting after the other is varied over its values while the others stay, and the best by NDCG@10 is kept;
the past is split again for it, so that the test part is not looked at. The results stand in
``TUNED``; ``freshet evaluate --tune`` does it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from encoders.evaluation.progressive import QUANTILE, ProgressiveMethod, run, validation
from encoders.evaluation.progressive_figures import figures
from encoders.evaluation.streaming import StreamingMethod
from encoders.evaluation.streaming_als import StreamingALS
from encoders.evaluation.streaming_covisitation import StreamingCovisitation
from encoders.evaluation.streaming_neighbours import StreamingNeighbours
from encoders.evaluation.streaming_popularity import StreamingNewest, StreamingPopularity, StreamingRepeats
from encoders.evaluation.streaming_text import StreamingText
from encoders.evaluation.timeline import Timeline, Vectors

Values = tuple[float | int, ...]
Settings = dict[str, float | int]
Factory = Callable[..., StreamingMethod]

BASELINES: dict[str, Factory] = {
    "newest": StreamingNewest,
    "popularity": StreamingPopularity,
    "popularity-7-days": lambda: StreamingPopularity(7),
    "own-history": StreamingRepeats,
    "covisitation": StreamingCovisitation,
    "vsknn": StreamingNeighbours,
    "als": StreamingALS,
    "decayed-text": StreamingText,
}
"""In the order of the table."""
OWN: dict[str, Values] = {"own": (0.0, 1.0, 4.0, 16.0), "own_decay": (0.98, 1.0)}
"""Of ``StreamingMethod.adding_own``."""
GRIDS: dict[str, dict[str, Values]] = {
    "own-history": {"decay": (0.9, 0.95, 0.98, 0.99, 0.995, 1.0)},
    "covisitation": {
        **OWN,
        "exponent": (0.0, 0.15, 0.25, 0.35, 0.5),
        "decay": (0.6, 0.8, 0.9, 1.0),
        "window": (5, 10, 20, 40),
        "length": (10, 20, 100),
        "age_days": (14.0, 45.0, 90.0),
    },
    "vsknn": {
        **OWN,
        "neighbours": (50, 100, 200, 500, 1_000),
        "decay": (0.6, 0.8, 0.9, 0.95, 1.0),
        "shrink": (0.0, 0.25, 0.5, 0.75, 1.0),
        "length": (10, 20, 50, 100),
    },
    "als": {
        **OWN,
        "factors": (16, 32, 64, 128),
        "alpha": (1.0, 5.0, 10.0, 40.0),
        "regularization": (0.05, 1.0, 10.0),
        "decay": (0.8, 0.9, 0.95, 1.0),
        "length": (20, 100, 500),
    },
    "decayed-text": {
        **OWN,
        "decay": (0.6, 0.8, 0.9, 1.0),
        "length": (10, 20, 100),
        "dim": (32, 64, 128, 384),
    },
}
"""Values tried of each setting; popularity has none. ``OWN`` is left out where nothing repeats."""

TUNED: dict[str, dict[str, Settings]] = {
    "movielens": {
        "covisitation": {"exponent": 0.35, "window": 40, "length": 10},
        "vsknn": {"neighbours": 1_000, "decay": 0.8, "shrink": 0.75},
        "als": {"alpha": 1.0, "regularization": 10.0, "decay": 0.9, "length": 20},
        "decayed-text": {"decay": 0.9, "length": 100, "dim": 64},
        "sasrec": {"factors": 64, "length": 20, "epochs": 20},
    },
    "online-retail": {
        "covisitation": {
            "own": 4.0,
            "exponent": 0.0,
            "decay": 1.0,
            "window": 40,
            "length": 100,
            "age_days": 14.0,
        },
        "vsknn": {"own": 4.0, "neighbours": 1_000, "decay": 1.0, "shrink": 1.0},
        "als": {"own": 4.0, "factors": 16, "alpha": 1.0, "regularization": 10.0, "decay": 0.9},
        "decayed-text": {"own": 4.0},
        "sasrec": {"factors": 128, "length": 50, "epochs": 2, "own": 4.0},
    },
}
"""By data set and baseline: what tuning chose. Another data set gets the defaults."""


def baseline(name: str, dataset: str, settings: Mapping[str, float | int] | None = None) -> ProgressiveMethod:
    """Make a baseline with ``settings``, or those chosen for the data set."""
    chosen: Mapping[str, Any] = TUNED.get(dataset, {}).get(name, {}) if settings is None else settings
    own = {key: chosen[key] for key in OWN if key in chosen}
    method = BASELINES[name](**{key: value for key, value in chosen.items() if key not in own})
    return method.adding_own(**own) if own else method


def names_for(timeline: Timeline) -> list[str]:
    """The baselines that mean something on a data set: none that repeats where nothing repeats."""
    return [name for name in BASELINES if timeline.repeats or name != "own-history"]


def tune(
    name: str, timeline: Timeline, text_vectors: Vectors | None = None
) -> Iterator[tuple[Settings, float]]:
    """Settings tried, the defaults first, and the NDCG@10 of each on the last fifth of the past."""
    inner = validation(timeline)
    best: Settings = {}
    tried = {_key(best): ndcg(baseline(name, timeline.name, best), inner, text_vectors)}
    yield best, tried[_key(best)]
    for setting, values in _varied(name, timeline.repeats):
        for trial in [{**best, setting: value} for value in values]:
            if _key(trial) in tried:
                continue
            tried[_key(trial)] = ndcg(baseline(name, timeline.name, trial), inner, text_vectors)
            yield trial, tried[_key(trial)]
            if tried[_key(trial)] > tried[_key(best)]:
                best = trial


def _varied(name: str, repeats: bool) -> list[tuple[str, Values]]:
    grid = GRIDS.get(name, {})
    return [(key, values) for key, values in grid.items() if repeats or key not in OWN]


def _key(settings: Settings) -> tuple[tuple[str, float | int], ...]:
    return tuple(sorted(settings.items()))


def ndcg(method: ProgressiveMethod, timeline: Timeline, text_vectors: Vectors | None = None) -> float:
    """NDCG@10 of all baskets of the timeline's last fifth."""
    replayed, stage = run(method, timeline, text_vectors)
    past, _ = timeline.events.split(QUANTILE)
    return figures(replayed, past, stage)["all"]["ndcg_at_10"]
