from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders.config import ModelConfig
from encoders.runtime import ServingModel
from encoders.sessions import CPU, usable_providers

TEXTS = ["Red running shoes", "A very long description. " * 40, "Tea pot", "", "Bücher, 本, 🫖", "Tea pot"]


@pytest.fixture(scope="module")
def items(serving_model: ServingModel) -> np.ndarray:
    return serving_model.item_vectors(serving_model.encode_texts(TEXTS))


def test_texts_become_unit_vectors(serving_model: ServingModel) -> None:
    vectors = serving_model.encode_texts(TEXTS)
    assert vectors.shape == (len(TEXTS), serving_model.text_dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_texts_keep_their_order_and_do_not_depend_on_their_neighbours(serving_model: ServingModel) -> None:
    alone = np.concatenate([serving_model.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(serving_model.encode_texts(TEXTS), alone, atol=1e-5)


def test_text_beyond_the_token_limit_changes_nothing(serving_model: ServingModel) -> None:
    long = "word " * 500
    np.testing.assert_allclose(
        serving_model.encode_texts([long]), serving_model.encode_texts([long + "tail"]), atol=1e-6
    )


def test_similar_texts_are_nearer_than_others(serving_model: ServingModel) -> None:
    shoes, boots, pot = serving_model.encode_texts(
        ["running shoes", "trail running boots", "porcelain tea pot"]
    )
    assert shoes @ boots > shoes @ pot


def test_no_texts_give_no_vectors(serving_model: ServingModel) -> None:
    assert serving_model.encode_texts([]).shape == (0, serving_model.text_dim)
    assert serving_model.item_vectors(np.empty((0, serving_model.text_dim), np.float32)).shape == (0, 128)


def test_item_vectors_have_unit_length(items: np.ndarray) -> None:
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), 1.0, atol=1e-5)


def test_untrained_interest_is_the_normalised_decayed_mean(
    serving_model: ServingModel, items: np.ndarray
) -> None:
    config, types, gaps = ModelConfig(), [0, 1, 0], [0.0, 86_400.0, -3_600.0]
    mean = np.zeros(serving_model.dim)
    state = serving_model.initial_state(1)
    for item, event_type, gap in zip(items, types, gaps, strict=False):
        keep = config.decay * 2 ** (-max(gap, 0) / config.half_life_seconds)
        weight = config.purchase_weight if event_type else config.click_weight
        mean = keep * mean + weight * 2 ** (-max(-gap, 0) / config.half_life_seconds) * item
        state, interest = serving_model.step(
            state, item[None], np.array([event_type]), np.array([gap], np.float32)
        )
    np.testing.assert_allclose(interest[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_first_event_makes_the_item_the_interest(serving_model: ServingModel, items: np.ndarray) -> None:
    _, interest = serving_model.step(
        serving_model.initial_state(1), items[:1], np.zeros(1, np.int64), np.zeros(1, np.float32)
    )
    np.testing.assert_allclose(interest[0], items[0], atol=1e-5)


def test_prefill_gives_what_repeated_steps_give(serving_model: ServingModel, items: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([5, 1, 3, 0])
    chosen = items[rng.integers(0, len(items), (4, 5))]
    types, gaps = rng.integers(0, 2, (4, 5)), rng.normal(0, 1e5, (4, 5)).astype(np.float32)
    state, interest = serving_model.prefill(chosen, types, gaps, lengths)
    for user, length in enumerate(lengths):
        expected_state = serving_model.initial_state(1)
        expected = np.zeros((1, serving_model.dim), np.float32)
        for t in range(length):
            expected_state, expected = serving_model.step(
                expected_state, chosen[user, t][None], types[user, t][None], gaps[user, t][None]
            )
        np.testing.assert_allclose(state[user], expected_state[0], atol=1e-5)
        np.testing.assert_allclose(interest[user], expected[0], atol=1e-5)


def test_empty_histories_need_no_graph(serving_model: ServingModel) -> None:
    empty = np.empty((2, 0, serving_model.dim), np.float32)
    state, interest = serving_model.prefill(
        empty, np.empty((2, 0), np.int64), np.empty((2, 0), np.float32), np.zeros(2, np.int64)
    )
    assert not state.any()
    assert not interest.any()


@pytest.mark.parametrize("batch", [1, 2, 257])
def test_a_step_takes_any_batch(serving_model: ServingModel, items: np.ndarray, batch: int) -> None:
    state, interest = serving_model.step(
        serving_model.initial_state(batch),
        np.repeat(items[:1], batch, axis=0),
        np.zeros(batch, np.int64),
        np.zeros(batch, np.float32),
    )
    assert state.shape == (batch, serving_model.state_dim)
    assert interest.shape == (batch, serving_model.dim)


def test_event_types_to_come_have_room(serving_model: ServingModel, items: np.ndarray) -> None:
    _, interest = serving_model.step(
        serving_model.initial_state(1), items[:1], np.array([7]), np.zeros(1, np.float32)
    )
    assert np.isfinite(interest).all()


def test_threads_may_share_a_model(serving_model: ServingModel) -> None:
    expected = serving_model.encode_texts(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: serving_model.encode_texts(TEXTS), range(8)):
            np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_serving_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, encoders.runtime, encoders.text, exporters.model_store\n"
        "heavy = {'torch', 'transformers', 'onnx', 'scipy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_providers_that_are_not_there_are_not_asked_for() -> None:
    assert usable_providers(["NoSuchExecutionProvider", CPU]) == [CPU]
