from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from encoders.config import ModelConfig
from encoders.errors import ModelError
from encoders.sessions import open_session
from encoders.towers import ItemTower, UserTower
from encoders.whitening import fit_whitening
from exporters.model_store import load_model
from exporters.onnx_export import (
    OPSET,
    default_text_model,
    export_item,
    export_user,
    load_text_tower,
    require_close,
)

CONFIG = ModelConfig(dim=6, hidden=5, item_hidden=7)


def trained(module: torch.nn.Module) -> torch.nn.Module:
    """Every weight away from its starting value, and the residual switched on."""
    torch.manual_seed(3)
    for parameter in module.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    module.scale.fill_(1.0)
    return module.eval()


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> tuple[UserTower, Path]:
    folder, tower = tmp_path_factory.mktemp("user"), trained(UserTower(CONFIG))
    export_user(tower, folder / "step.onnx", folder / "prefill.onnx")
    return tower, folder


@pytest.mark.parametrize("batch", [1, 2, 33])
def test_step_graph_computes_what_torch_computes(user: tuple[UserTower, Path], batch: int) -> None:
    tower, folder = user
    generator = torch.Generator().manual_seed(batch)
    feed = {
        "state": torch.randn(batch, CONFIG.state_dim, generator=generator),
        "item": torch.randn(batch, CONFIG.dim, generator=generator),
        "event_type": torch.randint(0, 8, (batch,), generator=generator),
        "gap_seconds": torch.randn(batch, generator=generator) * 1e5,
    }
    with torch.no_grad():
        expected = tower(*feed.values())
    actual = open_session(folder / "step.onnx").run(
        ["new_state", "interest"], {k: v.numpy() for k, v in feed.items()}
    )
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_allclose(other, one.numpy(), atol=1e-5)


def test_prefill_graph_computes_what_torch_computes_for_every_prefix(user: tuple[UserTower, Path]) -> None:
    tower, folder = user
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(1, 7, CONFIG.dim, generator=generator)
    types, gaps = (
        torch.randint(0, 2, (1, 7), generator=generator),
        torch.randn(1, 7, generator=generator) * 1e5,
    )
    with torch.no_grad():
        every = tower.sequence(items, types, gaps)[0].numpy()
    session = open_session(folder / "prefill.onnx")
    for length in range(1, 8):
        feed = {"items": items, "event_types": types, "gaps": gaps, "lengths": torch.tensor([length])}
        actual = session.run(["final_interest"], {k: v.numpy() for k, v in feed.items()})[0]
        np.testing.assert_allclose(actual[0], every[length - 1], atol=1e-5)


def test_item_graph_computes_what_torch_computes(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
    tower = trained(ItemTower(CONFIG, fit_whitening(vectors)))
    export_item(tower, tmp_path / "item.onnx")
    with torch.no_grad():
        expected = tower(torch.from_numpy(vectors)).numpy()
    actual = open_session(tmp_path / "item.onnx").run(["item_vectors"], {"text_vectors": vectors})[0]
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_text_graph_computes_what_transformers_computes(untrained_model: Path) -> None:
    texts = ["Tea pot", "A waterproof jacket for long walks in the mountains"]
    tower, _ = load_text_tower(default_text_model(), 128)
    from transformers import AutoTokenizer

    encoded = AutoTokenizer.from_pretrained(default_text_model())(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = tower.transformer(encoded["input_ids"], encoded["attention_mask"]).last_hidden_state
    rows = [row[mask.bool()].mean(dim=0) for row, mask in zip(hidden, encoded["attention_mask"], strict=True)]
    expected = torch.nn.functional.normalize(torch.stack(rows), dim=-1).numpy()
    np.testing.assert_allclose(load_model(untrained_model).encode_texts(texts), expected, atol=1e-5)


def test_graphs_are_of_the_opset_that_the_manifest_names(user: tuple[UserTower, Path]) -> None:
    for path in user[1].iterdir():
        assert [entry.version for entry in onnx.load(path).opset_import if not entry.domain] == [OPSET]


def test_an_export_that_differs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"graph\.onnx differs from torch by 1\.0e-03"):
        require_close(tmp_path / "graph.onnx", [(np.zeros(3), np.full(3, 1e-3))])


def test_an_export_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="differs"):
        require_close(tmp_path / "graph.onnx", [(np.zeros(3), np.full(3, np.nan))])
