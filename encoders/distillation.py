"""What a model must not forget while it learns: how a fixed panel of items relates to each other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from encoders.events import EventType
from encoders.towers import Towers

PANEL = 256
"""Items of the panel."""


class Panel:
    """The similarity of the interest after each panel item to every panel item, held to a teacher's.

    Similarity-preserving distillation (Tung & Mori, ICCV 2019): angles count, not axes, so that a student may
    have fewer dimensions than its teacher.
    """

    def __init__(self, teacher: Towers, white: Tensor, seed: int) -> None:
        """``white`` [n, text_dim]: the catalogue, whitened; ``PANEL`` of its items are drawn by ``seed``."""
        chosen = np.sort(np.random.default_rng(seed).permutation(len(white))[:PANEL])
        self._white = white[torch.from_numpy(chosen)]
        with torch.no_grad():
            self._wanted = _similarities(teacher.eval(), self._white)

    def distance(self, towers: Towers) -> Tensor:
        """Mean squared difference of all similarities [p, p] -> []."""
        return (_similarities(towers, self._white) - self._wanted).square().mean()


def _similarities(towers: Towers, white: Tensor) -> Tensor:
    """[p, p]: interests after one purchase each, times all item vectors."""
    items = towers.item.refine(white)  # [p, d]
    types = torch.full((len(items), 1), int(EventType.PURCHASE))
    interests = towers.user.sequence(items.unsqueeze(1), types, torch.zeros(types.shape))[:, 0]  # [p, d]
    return interests @ items.T
