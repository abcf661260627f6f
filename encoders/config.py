"""What a model is made of and how it is trained: two frozen structs that refuse keys they do not know."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from encoders.errors import SettingsError

Positive = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
PositiveFloat = Annotated[float, Meta(gt=0.0)]

DAY_SECONDS = 86_400.0
EVENT_TYPE_SLOTS = 8
"""Rows of every per-type parameter: a type appended to ``EventType`` needs no new graph shapes."""


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Shapes and starting values of a model; stored in its folder as ``config.json``."""

    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$")] = "freshet"
    dim: Annotated[int, Meta(ge=2, le=4096)] = 128
    """d, the dimension of item and interest vectors."""
    max_tokens: Annotated[int, Meta(ge=8, le=8192)] = 128
    """Tokens of an item's text that are read; what comes after is cut off."""
    hidden: Positive = 128
    """Width of the recurrent part of the user tower."""
    item_hidden: Positive = 128
    """Width of the item tower's residual."""
    whitening_shrinkage: Fraction | None = None
    """Pull of the covariance's eigenvalues to their mean; ``None``: by the size of the catalogue."""
    decay: PositiveFloat = 0.6
    """Factor on older evidence at each event (.6 is best on Amazon Scientific, untrained)."""
    half_life_seconds: PositiveFloat = 30 * DAY_SECONDS
    """Time without events after which older evidence counts half."""
    click_weight: PositiveFloat = 1.0
    purchase_weight: PositiveFloat = 1.0
    """How much a new event's item adds to the interest, by what the user did with it; training moves them."""

    @property
    def state_dim(self) -> int:
        """s: the decayed mean [d] and the recurrent state [hidden], side by side."""
        return self.dim + self.hidden


class TrainingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the towers are trained."""

    epochs: Positive = 15
    seed: int = 0
    batch_size: Positive = 512
    """Sequences a step."""
    max_length: Positive = 50
    """Events of a sequence that one step sees; longer ones are cut into pieces."""
    learning_rate: PositiveFloat = 3e-3
    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.05
    """On the residuals alone (decoupled, AdamW)."""
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.2
    temperature: PositiveFloat = 0.03
    click_loss_weight: Annotated[float, Meta(ge=0.0)] = 1.0
    purchase_loss_weight: Annotated[float, Meta(ge=0.0)] = 3.0
    """Of the two tasks, next click and next purchase, over one trunk; a task of weight 0 is not trained. A
    purchase says more about what to recommend than a click."""
    patience: Positive = 5
    """Epochs without a better validation NDCG@10 before training stops."""
    full_softmax_items: Positive = 50_000
    """Catalogues above this size are trained on ``sampled_negatives`` with logQ correction."""
    sampled_negatives: Positive = 8_192
    max_validation: Positive = 10_000
    """Validation rows that are ranked after each epoch, drawn at random where there are more."""
    fine_tuning_rate: PositiveFloat = 0.3
    """Factor on the learning rate when all of a parent's towers are tuned."""
    distillation_weight: Annotated[float, Meta(ge=0.0)] = 1.0
    """Of what the parent says of a fixed panel of items, when all of its towers are tuned."""
    replay_share: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.2
    """Share of the steps that replay older behaviour against forgetting, where there is any."""
    threads: Positive = 1
    """Of torch. The steps are small: on two shared cores one thread was faster than two."""

    def __post_init__(self) -> None:
        """Raises ``SettingsError`` where no task would be trained."""
        if self.click_loss_weight == self.purchase_loss_weight == 0.0:
            raise SettingsError(
                "click_loss_weight and purchase_loss_weight are both 0, so nothing would be trained: "
                "give one of them a weight above 0"
            )

    @property
    def task_weights(self) -> dict[str, float]:
        """What the loss gave the two tasks, as a model's manifest records it."""
        return {
            "click_loss_weight": self.click_loss_weight,
            "purchase_loss_weight": self.purchase_loss_weight,
        }


def decode_config(data: bytes) -> ModelConfig:
    """Read ``config.json``; raises ``msgspec.ValidationError`` on unknown keys or values out of range."""
    return msgspec.json.decode(data, type=ModelConfig)


def encode_config(config: ModelConfig) -> bytes:
    """Write ``config.json``: the same bytes for the same configuration."""
    return msgspec.json.format(msgspec.json.encode(config, order="sorted"), indent=2)
