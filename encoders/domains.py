"""What training reads of one shop, and how the batches of several are mixed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.batching import Batch, TrainingSequences, batches
from encoders.towers import ItemTower


@dataclass(frozen=True, slots=True)
class Domain:
    """A shop's catalogue through its own adaptor, and what its users did."""

    white: Tensor
    """[n, text_dim], whitened text vectors in the order of the data's indices."""
    data: TrainingSequences
    share: float = 1.0
    """Of the steps of an epoch, relative to those of the other domains."""

    @classmethod
    def of(
        cls,
        adaptor: ItemTower,
        text_vectors: npt.NDArray[np.float32],
        data: TrainingSequences,
        share: float = 1.0,
    ) -> Domain:
        """Whiten ``text_vectors`` [n, text_dim] with the item tower that holds the shop's adaptor."""
        with torch.no_grad():
            return cls(adaptor.whiten(torch.from_numpy(text_vectors)), data, share)

    @property
    def popularity(self) -> Tensor:
        """[n], sums to 1: what sampled negatives are drawn by. Half as seen, half evenly: popular items are
        the hard negatives, and none is never drawn.
        """
        counts = np.bincount(self.data.train.items, minlength=len(self.white)).astype(np.float64)
        return torch.from_numpy(0.5 * counts / counts.sum() + 0.5 / len(counts))


def steps_of(domains: Sequence[Domain], batch_size: int) -> list[int]:
    """How many batches of each domain make an epoch: all of the first, of the others what their shares say.

    A domain that has fewer is passed over again.
    """
    first = math.ceil(len(domains[0].data.train) / batch_size)
    return [first] + [round(first * domain.share / domains[0].share) for domain in domains[1:]]


def mixed(
    domains: Sequence[Domain], batch_size: int, max_length: int, rng: np.random.Generator
) -> Iterator[tuple[int, Batch]]:
    """One epoch: (which domain, batch), the domains in random order."""

    def one_pass(number: int) -> Iterator[Batch]:
        return batches(domains[number].data.train, batch_size, max_length, rng)

    if len(domains) == 1:
        yield from ((0, batch) for batch in one_pass(0))
        return
    steps = steps_of(domains, batch_size)
    streams = [one_pass(number) for number in range(len(domains))]
    for number in rng.permutation(np.repeat(np.arange(len(domains)), steps)).tolist():
        batch = next(streams[number], None)
        if batch is None:
            streams[number] = one_pass(number)
            batch = next(streams[number], None)
        if batch is not None:
            yield number, batch
