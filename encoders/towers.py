"""The towers in torch, for training and for export. Serving runs their ONNX graphs and never imports this.

Item:  ``v = normalise(normalise(gain · whiten(x)) + scale · residual(x))``
User:  ``m' = γ(type) · 2^(-max(g,0)/T) · m  +  w(type) · 2^(-max(-g,0)/T) · v``
       ``h' = GRU([v, type, log-gap], h)``
       ``interest = normalise(m' + scale · residual([h', m', v]))``

g is the gap in seconds since the user's newest event, T the half-life. In a new model both scales are 0 and
the gains 1: the interest is the decayed mean of whitened text vectors, which needs no training. Whitening and
gain are the adaptor: what belongs to one shop's catalogue.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoders.config import EVENT_TYPE_SLOTS, ModelConfig
from encoders.errors import ModelError
from encoders.events import EventType
from encoders.whitening import Whitening

TYPE_FEATURES: Final = 8
GAP_FEATURES: Final = 2
LOG_GAP_SCALE: Final = math.log1p(30 * 86_400.0)
"""Brings log1p of a month's gap to 1."""


class ItemTower(nn.Module):
    """Text vectors [n, text_dim] -> item vectors [n, d], unit length."""

    mean: Tensor
    projection: Tensor
    scale: Tensor

    def __init__(self, config: ModelConfig, whitening: Whitening) -> None:
        super().__init__()
        text_dim = whitening.mean.shape[0]
        if config.dim > text_dim:
            raise ModelError(
                f"dim {config.dim} is more than the text vectors have: choose at most {text_dim}"
            )
        self.dim = config.dim
        self.register_buffer("mean", torch.from_numpy(whitening.mean))  # [text_dim]
        self.register_buffer("projection", torch.from_numpy(whitening.projection))  # [text_dim, text_dim]
        self.log_gain = nn.Parameter(torch.zeros(config.dim))  # how much each direction counts here
        self.inner = nn.Linear(text_dim, config.item_hidden)
        self.outer = zeroed(nn.Linear(config.item_hidden, config.dim))
        self.register_buffer("scale", torch.zeros(()))
        self.dropout = nn.Dropout(0.0)

    def forward(self, text_vectors: Tensor) -> Tensor:
        """[n, text_dim] -> [n, d]."""
        return self.refine(self.whiten(text_vectors))

    def whiten(self, text_vectors: Tensor) -> Tensor:
        """The part that never learns: [n, text_dim] -> [n, text_dim], each of length √text_dim."""
        white = (text_vectors - self.mean) @ self.projection
        return functional.normalize(white, dim=-1) * math.sqrt(white.shape[-1])

    def refine(self, white: Tensor) -> Tensor:
        """Whitened vectors [n, text_dim] -> [n, d]; the residual sees the directions beyond d as well."""
        hidden = self.dropout(functional.gelu(self.inner(white)))  # [n, item_hidden]
        base = functional.normalize(white[:, : self.dim] * self.log_gain.exp(), dim=-1)  # [n, d]
        return functional.normalize(base + self.scale * self.outer(hidden), dim=-1)


class UserTower(nn.Module):
    """The recurrent user tower; a state is [m | h], [b, d + hidden], zeros for a new user."""

    scale: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dim, self.hidden = config.dim, config.hidden
        weights = torch.full((EVENT_TYPE_SLOTS,), config.click_weight)
        weights[EventType.PURCHASE] = config.purchase_weight
        self.log_decay = nn.Parameter(torch.full((EVENT_TYPE_SLOTS,), math.log(config.decay)))
        self.log_weight = nn.Parameter(weights.log())
        self.log_half_life = nn.Parameter(torch.tensor(math.log(config.half_life_seconds)))
        self.type_features = nn.Embedding(EVENT_TYPE_SLOTS, TYPE_FEATURES)
        self.gru = nn.GRU(config.dim + TYPE_FEATURES + GAP_FEATURES, config.hidden, batch_first=True)
        self.residual = zeroed(nn.Linear(config.hidden + 2 * config.dim, config.dim))
        self.register_buffer("scale", torch.zeros(()))
        self.dropout = nn.Dropout(0.0)

    def forward(
        self, state: Tensor, item: Tensor, event_type: Tensor, gap_seconds: Tensor
    ) -> tuple[Tensor, ...]:
        """Step: state [b, s], item [b, d], event_type [b], gap_seconds [b] -> state, interest [b, d]."""
        mean, hidden = state[:, : self.dim], state[:, self.dim :]  # [b, d], [b, h]
        log_keep, log_add = self._log_factors(event_type, gap_seconds)  # [b], [b]
        mean = log_keep.exp().unsqueeze(-1) * mean + log_add.exp().unsqueeze(-1) * item  # [b, d]
        hidden = self._gru_cell(self._features(item, event_type, gap_seconds), hidden)  # [b, h]
        return torch.cat([mean, hidden], dim=-1), self._interest(mean, hidden, item)

    def sequence(self, items: Tensor, event_types: Tensor, gaps: Tensor) -> Tensor:
        """Every prefix of a batch of histories at once, for training.

        items [b, t, d], event_types [b, t], gaps [b, t] -> interests after each event [b, t, d].
        """
        log_keep, log_add = self._log_factors(event_types, gaps)  # [b, t]
        hidden, _ = self.gru(self.dropout(self._features(items, event_types, gaps)))  # [b, t, h]
        return self._interest(_decayed_sums(items, log_keep, log_add), self.dropout(hidden), items)

    def _log_factors(self, event_type: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of what is kept of the older mean and of the new item's weight, shaped like ``gap``."""
        per_second = math.log(2.0) / self.log_half_life.exp()
        keep = self.log_decay.clamp(max=0.0)[event_type] - per_second * gap.clamp(min=0.0)
        add = self.log_weight[event_type] - per_second * (-gap).clamp(min=0.0)
        return keep, add

    def _features(self, item: Tensor, event_type: Tensor, gap: Tensor) -> Tensor:
        """[.., d], [..], [..] -> [.., d + 10]: item, type, log of the time ahead and of the time behind."""
        ahead = gap.clamp(min=0.0).log1p() / LOG_GAP_SCALE
        behind = (-gap).clamp(min=0.0).log1p() / LOG_GAP_SCALE
        return torch.cat([item, self.type_features(event_type), torch.stack([ahead, behind], dim=-1)], dim=-1)

    def _gru_cell(self, features: Tensor, hidden: Tensor) -> Tensor:
        """One step of ``self.gru`` in primitive operations, for a small graph: [b, f], [b, h] -> [b, h]."""
        weight_in, weight_hidden, bias_in, bias_hidden = self.gru.all_weights[0]
        gates_in = functional.linear(features, weight_in, bias_in)  # [b, 3h]
        gates_hidden = functional.linear(hidden, weight_hidden, bias_hidden)  # [b, 3h]
        reset_in, update_in, new_in = gates_in.chunk(3, dim=-1)
        reset_hidden, update_hidden, new_hidden = gates_hidden.chunk(3, dim=-1)
        reset, update = torch.sigmoid(reset_in + reset_hidden), torch.sigmoid(update_in + update_hidden)
        new = torch.tanh(new_in + reset * new_hidden)
        return (1 - update) * new + update * hidden

    def _interest(self, mean: Tensor, hidden: Tensor, item: Tensor) -> Tensor:
        # Mean and item beside h: what was just seen is rarely wanted next, and the residual may say so.
        residual = self.residual(torch.cat([hidden, mean, item], dim=-1))  # [.., d]
        return functional.normalize(mean + self.scale * residual, dim=-1)


class Towers(nn.Module):
    """Both towers, as one thing to optimise and to save."""

    item: ItemTower
    user: UserTower

    def __init__(self, item: ItemTower, user: UserTower) -> None:
        super().__init__()
        self.item, self.user = item, user


def new_towers(item: ItemTower, user: UserTower, dropout: float) -> Towers:
    """Join two towers for training with ``dropout``."""
    item.dropout.p = user.dropout.p = dropout
    return Towers(item, user)


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The last layer of a residual: from zero, training leaves the untrained model only where that pays."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _decayed_sums(items: Tensor, log_keep: Tensor, log_add: Tensor) -> Tensor:
    """Solve m_t = keep_t m_(t-1) + add_t v_t for all t: items [b, t, d], factors [b, t] -> [b, t, d]."""
    total = log_keep.cumsum(dim=1)  # [b, t]
    exponent = total.unsqueeze(2) - total.unsqueeze(1) + log_add.unsqueeze(1)  # [b, t (at), t (of)]
    later = torch.ones(exponent.shape[1:], dtype=torch.bool, device=items.device).triu(1)  # [t, t]
    return exponent.masked_fill(later, -math.inf).exp() @ items
