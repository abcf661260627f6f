"""How well a ranker orders rows, and how two systems compare on questions that neither has learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.features import FEATURES
from encoders.ranker import Ranker, RankingRows, ndcg_of, scores_of
from encoders.two_stage import COVISITED, INTEREST

Values = npt.NDArray[np.float64]
HAD = FEATURES.index("had")


def ndcg_of_rows(ranker: Ranker | None, rows: RankingRows) -> Values:
    """NDCG@10 of each row [r]; without a ranker by the plain score, what the user had last
    (``candidates.fused``)."""
    features, real, targets = tensors_of(rows)
    if ranker is None:
        plain = features[:, :, INTEREST] + features[:, :, COVISITED] - 10.0 * (features[:, :, HAD] > 0)
        scores = plain.float()
    else:
        scores = scores_of(ranker, features)
    found: Values = ndcg_of(scores, real, targets).double().numpy()
    return found


def ndcg_of_systems(systems: Sequence[tuple[RankingRows, Values]]) -> list[Values]:
    """NDCG@10 [q] of each system on the q questions that some system retrieved and none has learned from.

    A system is its rows, which must know their ``questions``, and the NDCG@10 [r] of each: NaN where its
    ranker has learned from the row. A question that a system did not retrieve counts as 0 for it. Raises
    ``ValueError`` where rows do not know their questions.
    """
    known = [_questions(rows) for rows, _ in systems]
    count = 1 + max(int(questions.max(initial=-1)) for questions in known)
    asked = np.zeros(count, np.bool_)
    found = np.zeros((len(systems), count))
    for row, (questions, (_, values)) in enumerate(zip(known, systems, strict=True)):
        asked[questions] = True
        found[row, questions] = values
    asked &= np.isfinite(found).all(axis=0)
    return list(found[:, asked])


def tensors_of(rows: RankingRows) -> tuple[Tensor, Tensor, Tensor]:
    """Features [r, c, F], real [r, c] and targets [r, c]."""
    return torch.from_numpy(rows.features), torch.from_numpy(rows.real), torch.from_numpy(rows.targets)


def _questions(rows: RankingRows) -> npt.NDArray[np.int64]:
    if rows.questions is None:
        raise ValueError("these rows do not know their questions")
    return rows.questions
