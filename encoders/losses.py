"""Losses of next-item prediction over unit vectors with a temperature."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

MASKED: Final = -1e9
LEAST_WEIGHT: Final = 1e-12
"""A batch whose tasks all have the weight 0 has the loss 0."""


def softmax_loss(
    interests: Tensor, items: Tensor, targets: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy over all items: interests [k, d], items [n, d], targets [k], weights [k] -> mean [].

    In-batch negatives alone lose half of the ranking quality against this, so all items it is while they fit.
    """
    logits = (interests / temperature) @ items.T  # [k, n]
    losses = functional.cross_entropy(logits, targets, reduction="none")  # [k]
    return (losses * weights).sum() / weights.sum().clamp(min=LEAST_WEIGHT)


def sampled_softmax_loss(
    interests: Tensor,
    target_items: Tensor,
    negative_items: Tensor,
    hits: Tensor,
    negative_log_counts: Tensor,
    weights: Tensor,
    temperature: float,
) -> Tensor:
    """Cross-entropy over a sample of the items with logQ correction: an estimate of ``softmax_loss``.

    interests [k, d], target_items [k, d], negative_items [s, d], hits [k, s] (true where a negative is the
    target), negative_log_counts [s] (logarithm of how often the item is expected among the s draws),
    weights [k] -> []. A target is always in its sum, so only the negatives are corrected: Bengio and
    Senécal (2008), and Yi et al., "Sampling-bias-corrected neural modeling" (2019).
    """
    positive = (interests * target_items).sum(dim=-1, keepdim=True) / temperature  # [k, 1]
    negative = interests @ negative_items.T / temperature - negative_log_counts  # [k, s]
    logits = torch.cat([positive, negative.masked_fill(hits, MASKED)], dim=-1)  # [k, 1 + s]
    losses = torch.logsumexp(logits, dim=-1) - positive.squeeze(-1)  # [k]
    return (losses * weights).sum() / weights.sum().clamp(min=LEAST_WEIGHT)
