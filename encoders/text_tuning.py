"""The text tower tuned on what users turn to next, by low-rank adapters that are merged in the end (LoRA).

Hu et al., "LoRA: Low-rank adaptation of large language models" (https://arxiv.org/abs/2106.09685), on the
attention's projections that ``peft`` names for the architecture; a contrastive loss over the pairs of a
batch, both ways (van den Oord et al., https://arxiv.org/abs/1807.03748). Needs the extra ``train``.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Protocol, cast

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from msgspec import Meta
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from encoders.batching import Sequences, TrainingSequences
from encoders.progress import Progress
from encoders.torch_context import seeded, torch_threads
from encoders.validation import Ranking

Integers = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

WARM_UP: Final = 0.1
_ROWS: Final = 512


class TextTuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a text tower is tuned."""

    rank: Annotated[int, Meta(ge=1, le=256)] = 8
    """Of the adapters; they are scaled by 2, as ``alpha`` = 2 · rank says."""
    steps: Annotated[int, Meta(ge=1)] = 100
    batch_size: Annotated[int, Meta(ge=2)] = 32
    """Pairs of a step."""
    learning_rate: Annotated[float, Meta(gt=0.0)] = 5e-4
    temperature: Annotated[float, Meta(gt=0.0)] = 0.05
    seed: int = 0
    threads: Annotated[int, Meta(ge=1)] = 1


class Tower(Protocol):
    """What is tuned: a ``transformer`` in a module from token ids and mask [b, t] to unit vectors [b, d]."""

    transformer: nn.Module

    def __call__(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[b, t], [b, t] -> [b, d]."""
        ...


def next_pairs(sequences: Sequences) -> Integers:
    """[p, 2]: each item with the one that was known when it was turned to; an item with itself is no pair."""
    starts = np.repeat(sequences.offsets[:-1], np.diff(sequences.offsets))
    known = sequences.context >= 0
    pairs: Integers = np.stack(
        [sequences.items[(starts + sequences.context)[known]], sequences.items[known]], axis=1
    )
    return _apart(pairs)


def held_out_pairs(data: TrainingSequences) -> Integers:
    """[p, 2]: the last item of each validation history with its target."""
    if data.valid is None or not len(data.valid):
        return np.empty((0, 2), dtype=np.int64)
    pairs: Integers = np.stack([data.valid.items[data.valid.offsets[1:] - 1], data.valid_targets], axis=1)
    return _apart(pairs)


def _apart(pairs: Integers) -> Integers:
    found: Integers = pairs[pairs[:, 0] != pairs[:, 1]]
    return found


def tune(
    tower: Tower,
    tokenizer: Tokenizer,
    texts: list[str],
    pairs: Integers,
    tuning: TextTuning,
    progress: Progress,
) -> list[float]:
    """Tune the tower in place on ``pairs`` [p, 2] of indices into ``texts``; the losses of the steps."""
    from peft import LoraConfig, get_peft_model

    rng, losses = np.random.default_rng(tuning.seed), []
    with torch_threads(tuning.threads), seeded(tuning.seed):
        adapters = LoraConfig(r=tuning.rank, lora_alpha=2 * tuning.rank)
        adapted = get_peft_model(tower.transformer, adapters)
        tower.transformer = adapted
        optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad])
        for step in range(tuning.steps):
            warm = min(1.0, (step + 1) / (WARM_UP * tuning.steps + 1))
            cosine = 0.5 * (1 + math.cos(math.pi * step / tuning.steps))
            for group in optimizer.param_groups:
                group["lr"] = tuning.learning_rate * warm * cosine
            chosen = pairs[rng.choice(len(pairs), tuning.batch_size)]
            loss = _loss(tower, tokenizer, texts, chosen, tuning.temperature)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
            progress("step", step + 1, tuning.steps, f"loss {losses[-1]:.3f}")
        tower.transformer = cast(nn.Module, adapted.merge_and_unload())
    return losses


def rank_pairs(vectors: Vectors, pairs: Integers) -> Ranking:
    """How near the second item of each pair [p, 2] is to the first, among all others; vectors [n, d]."""
    ranks = []
    for start in range(0, len(pairs), _ROWS):
        first, second = pairs[start : start + _ROWS].T
        scores = vectors[first] @ vectors.T
        rows = np.arange(len(first))
        scores[rows, first] = -np.inf
        # Ties count against the target, as in ``validation.rank_targets``.
        ranks.append((scores >= scores[rows, second][:, None]).sum(axis=1) - 1)
    return Ranking.of(np.concatenate([np.empty(0, dtype=np.int64), *ranks]))


def _loss(
    tower: Tower, tokenizer: Tokenizer, texts: list[str], pairs: Integers, temperature: float
) -> Tensor:
    first, second = (_vectors(tower, tokenizer, [texts[i] for i in side]) for side in pairs.T.tolist())
    scores = first @ second.T / temperature  # [b, b]
    same = torch.from_numpy(pairs[:, 1][:, None] == pairs[:, 1][None]).fill_diagonal_(False)
    also = torch.from_numpy(pairs[:, 0][:, None] == pairs[:, 0][None]).fill_diagonal_(False)
    # What follows the same item, or is the same item, is no negative.
    scores = scores.masked_fill(same | also, -1e4)
    targets = torch.arange(len(pairs))
    return 0.5 * (functional.cross_entropy(scores, targets) + functional.cross_entropy(scores.T, targets))


def _vectors(tower: Tower, tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    encodings = tokenizer.encode_batch(texts)
    ids = torch.tensor([one.ids for one in encodings])
    return tower(ids, torch.tensor([one.attention_mask for one in encodings]))
