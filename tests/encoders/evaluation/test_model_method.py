"""A model's scores offline are those that the running system would compute event by event."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from encoders.config import ModelConfig
from encoders.evaluation.model_method import MAX_HISTORY, ModelMethod
from encoders.events import EventType
from encoders.runtime import ServingModel
from encoders.sessions import open_session
from encoders.text import TextEncoder
from encoders.whitening import fit_whitening

N_ITEMS, TEXT_DIM = 9, 12
CONFIG = ModelConfig(dim=6, hidden=5, item_hidden=7)
TEXT_VECTORS = np.random.default_rng(3).normal(size=(N_ITEMS, TEXT_DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServingModel:
    """Real graphs with a residual that says something; there is no text in these tests."""
    import torch

    from encoders.towers import ItemTower, UserTower
    from exporters.onnx_export import export_item, export_user

    folder: Path = tmp_path_factory.mktemp("model")
    torch.manual_seed(5)
    user = UserTower(CONFIG)
    user.scale.fill_(1.0)
    torch.nn.init.normal_(user.residual.weight)
    export_item(ItemTower(CONFIG, fit_whitening(TEXT_VECTORS, CONFIG.dim)), folder / "item.onnx")
    export_user(user, folder / "step.onnx", folder / "prefill.onnx")
    return ServingModel(
        version="test",
        dim=CONFIG.dim,
        text_dim=TEXT_DIM,
        state_dim=CONFIG.state_dim,
        text=cast("TextEncoder", None),
        item_graph=open_session(folder / "item.onnx"),
        step_graph=open_session(folder / "step.onnx"),
        prefill_graph=open_session(folder / "prefill.onnx"),
    )


def step_by_step(model: ServingModel, history: list[int], event_type: EventType) -> np.ndarray:
    items = model.item_vectors(TEXT_VECTORS)
    state = model.initial_state(1)
    for item in history:
        kind, gap = np.array([int(event_type)]), np.zeros(1, dtype=np.float32)
        state, interest = model.step(state, items[[item]], kind, gap)
    return items @ interest[0]


@pytest.mark.parametrize("event_type", list(EventType))
def test_scores_are_those_of_stepping_through_each_history(model, event_type):
    histories = [[1, 2, 3], [8], [0, 0, 4, 5, 6]]
    method = ModelMethod("m", model, TEXT_VECTORS, event_type)
    expected = [step_by_step(model, history, event_type) for history in histories]
    np.testing.assert_allclose(method.scores(histories), expected, atol=1e-5)


def test_only_the_newest_events_of_a_long_history_count(model):
    long = np.random.default_rng(0).integers(0, N_ITEMS, MAX_HISTORY + 9).tolist()
    method = ModelMethod("m", model, TEXT_VECTORS)
    np.testing.assert_allclose(method.scores([long]), method.scores([long[-MAX_HISTORY:]]), atol=1e-6)


def test_an_empty_history_scores_everything_alike(model):
    scores = ModelMethod("m", model, TEXT_VECTORS).scores([[], [1]])
    assert scores[0].tolist() == [0.0] * N_ITEMS
