"""``--click-loss-weight`` and ``--purchase-loss-weight``: what each task weighs in a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from encoders.config import TrainingConfig

DEFAULTS = TrainingConfig()
WEIGHT = click.FloatRange(0.0, 100.0)

Command = Callable[..., Any]


def loss_weights(command: Command) -> Command:
    """Add both options to a command; ``TrainingConfig`` refuses 0 for both."""
    purchase = click.option(
        "--purchase-loss-weight",
        type=WEIGHT,
        default=DEFAULTS.purchase_loss_weight,
        show_default=True,
        help="Of the next purchase in the loss, likewise.",
    )
    of_click = click.option(
        "--click-loss-weight",
        type=WEIGHT,
        default=DEFAULTS.click_loss_weight,
        show_default=True,
        help="Of the next click in the loss; 0 does not train it.",
    )
    return of_click(purchase(command))
