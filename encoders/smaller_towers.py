"""Towers of fewer dimensions that keep their parent's ranking.

A smaller tower begins as its parent with the last axes cut off, those along which texts vary least. Then it
learns to say of the catalogue what the parent says: how near all items are to each item and to each interest.
The distributions of those similarities are compared, as in Hinton et al., "Distilling the knowledge in a
neural network" (https://arxiv.org/abs/1503.02531), so that the nearest count most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from encoders.batching import Sequences, pad, sequences_of
from encoders.config import ModelConfig, TrainingConfig
from encoders.errors import ModelError
from encoders.progress import Progress
from encoders.ranking_overlap import list_overlap, neighbour_overlap
from encoders.torch_context import seeded, torch_threads
from encoders.towers import ItemTower, Towers, UserTower, new_towers
from encoders.tuning import PARTS, Tuning, optimizer_of, tuned_parameters
from encoders.whitening import Whitening

Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

TEMPERATURE: Final = 0.05
ROWS: Final = 256
"""Items, and as many histories, of a step."""
COLUMNS: Final = 8_192
"""Items that they are compared with, at most."""
MAX_HISTORY: Final = 20
"""Newest events of a history that are read."""
WARM_UP: Final = 20
"""Steps."""
HELD_OUT: Final = 0.1
"""Share of items and histories that nothing is learned from, and the ranking is compared on."""
MAX_ASKED: Final = 2_000
CENTRES: Final = 512
NEAR: Final = 50
LEARNED: Final = ("adaptor", "item_residual", "user_residual")
FROZEN: Final = tuple(part for part in PARTS if part not in LEARNED)


@dataclass(frozen=True, slots=True)
class Kept:
    """Share of the ten nearest that the smaller towers keep, of what they did not learn from."""

    items: float
    interests: float
    """After a history."""


def cut(parent: Towers, config: ModelConfig, dim: int) -> tuple[ModelConfig, Towers]:
    """The parent's towers on ``dim`` of its dimensions, and their configuration.

    Its axes are turned to those of the texts first, the widest kept: a parent made by transfer has turned
    its own (``whitening.aligned``). Raises ``ModelError`` unless ``dim`` is below the parent's.
    """
    if not 2 <= dim < config.dim:
        raise ModelError(f"{dim} dimensions are not fewer than the model's {config.dim}: choose fewer")
    smaller = msgspec.structs.replace(config, dim=dim)
    turn = _axes(parent.item.projection[:, : config.dim])  # [D, D]
    kept = turn[:, :dim]  # [D, d]
    projection = _turned(parent.item.projection, turn)
    blank = Whitening(parent.item.mean.numpy(), projection.numpy())
    with seeded(0):
        towers = new_towers(ItemTower(smaller, blank), UserTower(smaller), 0.0)
    towers.load_state_dict(_cut_weights(parent.state_dict(), turn, kept, projection))
    return smaller, towers


def _axes(projection: Tensor) -> Tensor:
    """The rotation [D, D] to the axes of the texts, widest first.

    Columns of a whitening [t, D] are eigenvectors over the roots of their eigenvalues, so that the columns'
    inner products have the inverse eigenvalues, whatever rotation came after.
    """
    exact = projection.double()
    axes: Tensor = torch.linalg.eigh(exact.T @ exact).eigenvectors
    largest = axes.abs().argmax(dim=0)
    signs = axes[largest, torch.arange(len(axes))].sign()
    return (axes * signs).float()


def _turned(columns: Tensor, turn: Tensor) -> Tensor:
    """[.., n] with the first D of the last axis turned."""
    width = len(turn)
    return torch.cat([columns[..., :width] @ turn, columns[..., width:]], dim=-1)


def _cut_weights(
    weights: dict[str, Tensor], turn: Tensor, kept: Tensor, projection: Tensor
) -> dict[str, Tensor]:
    """The parent's weights for items and interests that are turned and cut."""
    width = len(kept)
    gru = weights["user.gru.weight_ih_l0"]
    residual = kept.T @ weights["user.residual.weight"]
    hidden = residual.shape[1] - 2 * width
    of_hidden, of_mean = residual[:, :hidden], residual[:, hidden : hidden + width]
    of_item = residual[:, hidden + width :]
    return weights | {
        "item.projection": projection,
        "item.log_gain": 0.5 * (kept.square().T @ (2 * weights["item.log_gain"]).exp()).log(),
        "item.inner.weight": _turned(weights["item.inner.weight"], turn),
        "item.outer.weight": kept.T @ weights["item.outer.weight"],
        "item.outer.bias": kept.T @ weights["item.outer.bias"],
        "user.gru.weight_ih_l0": torch.cat([gru[:, :width] @ kept, gru[:, width:]], dim=1),
        "user.residual.weight": torch.cat([of_hidden, of_mean @ kept, of_item @ kept], dim=1),
        "user.residual.bias": kept.T @ weights["user.residual.bias"],
    }


def made_up_histories(vectors: Vectors, count: int, seed: int) -> Sequences:
    """For a catalogue without behaviour: up to ten items each, near to one, two or three random ones.

    ``vectors`` [n, d] are the catalogue's item vectors.
    """
    rng = np.random.default_rng(seed)
    centres = rng.permutation(len(vectors))[:CENTRES]
    near = np.argsort(-(vectors[centres] @ vectors.T), axis=1)[:, :NEAR]
    sizes = zip(rng.integers(1, 11, count).tolist(), rng.integers(1, 4, count).tolist(), strict=True)
    drawn = [rng.choice(near[rng.integers(0, len(near), tastes)].ravel(), size) for size, tastes in sizes]
    return sequences_of([one.tolist() for one in drawn])


class SmallerTowers:
    """A parent, its smaller child, and the catalogue [n, text_dim] through both whitenings."""

    def __init__(
        self, parent: Towers, child: Towers, text_vectors: Vectors, histories: Sequences, seed: int
    ) -> None:
        """``histories`` hold indices into the catalogue; some items and histories are held out."""
        texts = torch.from_numpy(text_vectors)
        self._parent, self._child = parent.eval(), child
        with torch.no_grad():
            self._wanted = parent.item(texts)  # [n, D]
            self._white = child.item.whiten(texts)  # [n, text_dim]
        self._histories, self._seed = histories, seed
        rng = np.random.default_rng(seed)
        self._items, self._new_items = _split(rng.permutation(len(texts)))
        ends = rng.permutation(len(histories.items))
        owner = np.searchsorted(histories.offsets, ends, side="right") - 1
        old, _ = _split(np.arange(len(histories)))
        self._ends, self._new_ends = ends[owner < len(old)], ends[owner >= len(old)][:MAX_ASKED]

    def learn(self, steps: int, config: TrainingConfig, progress: Progress) -> None:
        """Train the child; decays stay the parent's."""
        child = self._child
        child.item.scale.fill_(1.0)
        child.user.scale.fill_(1.0)
        tuning = Tuning(parts=LEARNED)
        optimizer = optimizer_of(tuned_parameters(child, tuning), config, tuning)
        rng = np.random.default_rng(config.seed)
        child.train()
        with torch_threads(config.threads), seeded(config.seed):
            for step in range(steps):
                share = min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * share
                loss = self._loss(rng)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                progress("step", step + 1, steps, f"loss {float(loss.detach()):.3f}")
        child.eval()

    def kept(self) -> Kept:
        """Compare the two on what was held out."""
        self._child.eval()
        with torch.no_grad():
            found = self._child.item.refine(self._white)
            mine = _interests(self._parent, self._wanted, self._histories, self._new_ends)
            theirs = _interests(self._child, found, self._histories, self._new_ends)
        wanted, items = self._wanted.numpy(), found.numpy()
        return Kept(
            neighbour_overlap(wanted, items, rows=self._new_items[:MAX_ASKED]),
            list_overlap((mine.numpy(), wanted), (theirs.numpy(), items)),
        )

    def _loss(self, rng: np.random.Generator) -> Tensor:
        columns = torch.from_numpy(rng.permutation(self._items)[:COLUMNS])
        found = self._child.item.refine(self._white)  # [n, d]
        rows = columns[:ROWS]
        ends = rng.choice(self._ends, ROWS)
        with torch.no_grad():
            mine = _interests(self._parent, self._wanted, self._histories, ends)
        theirs = _interests(self._child, found, self._histories, ends)
        near, close = self._wanted[columns].T, found[columns].T  # [D, c], [d, c]
        itself = torch.eye(len(rows), len(columns), dtype=torch.bool)
        of_items = _divergence(self._wanted[rows] @ near, found[rows] @ close, itself)
        return of_items + _divergence(mine @ near, theirs @ close)


def _split(values: Integers) -> tuple[Integers, Integers]:
    """The first to learn from, the last, at least one, to be held out."""
    held = max(1, round(HELD_OUT * len(values)))
    return values[:-held], values[-held:]


def _interests(towers: Towers, items: Tensor, histories: Sequences, ends: Integers) -> Tensor:
    """Interests [b, d] after the events ``ends`` [b] of the histories, with what came before them."""
    owner = np.searchsorted(histories.offsets, ends, side="right") - 1
    starts = np.maximum(histories.offsets[owner], ends + 1 - MAX_HISTORY)
    batch = pad(histories, np.stack([starts, ends + 1], axis=1))
    types, gaps = torch.from_numpy(batch.event_types), torch.from_numpy(batch.gaps)
    every = towers.user.sequence(items[torch.from_numpy(batch.items)], types, gaps)  # [b, t, d]
    return every[torch.arange(len(ends)), torch.from_numpy(batch.lengths - 1)]


def _divergence(wanted: Tensor, found: Tensor, masked: Tensor | None = None) -> Tensor:
    """Kullback-Leibler divergence of two rows of similarities [b, c] as distributions -> mean []."""
    if masked is not None:
        wanted, found = wanted.masked_fill(masked, -2.0), found.masked_fill(masked, -2.0)
    teacher = (wanted / TEMPERATURE).log_softmax(dim=-1)
    student = (found / TEMPERATURE).log_softmax(dim=-1)
    return functional.kl_div(student, teacher, log_target=True, reduction="batchmean")
