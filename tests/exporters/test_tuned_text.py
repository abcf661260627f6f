"""A tiny text tower, tuned on behaviour and merged: what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from encoders.batching import TrainingSequences, sequences_of
from encoders.config import ModelConfig
from encoders.errors import DataError, ModelError
from encoders.events import Item
from encoders.text_tuning import TextTuning, held_out_pairs, next_pairs, rank_pairs
from encoders.torch_context import seeded
from exporters.model_factory import make_untrained
from exporters.model_manifest import read_manifest
from exporters.model_store import load_model
from exporters.onnx_export import load_text_tower
from exporters.tower_files import digest_of_text
from exporters.tuned_text import REPORT, TextTuningReport, tune_text

WORDS = [f"w{n}" for n in range(40)]
TEXTS = [f"{word} {word}" for word in WORDS]
CONFIG = ModelConfig(dim=8, hidden=8, item_hidden=8, max_tokens=8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer of one layer that has read nothing yet, as transformers saves it."""
    folder = tmp_path_factory.mktemp("tiny")
    words = {word: n for n, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    with seeded(0):
        tower = BertModel(BertConfig(vocab_size=1_100, max_position_embeddings=16, **sizes))
    tower.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    items = [Item(str(n), text) for n, text in enumerate(TEXTS)]
    return make_untrained(items, tmp_path_factory.mktemp("model"), CONFIG, text_model=str(tiny))


def pairs(partner: list[int]) -> TrainingSequences:
    """Everybody turns from an item to its partner, which no text says; the held-out users do so, too."""
    walks = [[item, partner[item]] for item in range(len(TEXTS))]
    return TrainingSequences(
        sequences_of(walks), sequences_of([[item] for item, _ in walks]), np.array([to for _, to in walks])
    )


NEIGHBOURS = pairs([item ^ 1 for item in range(len(TEXTS))])
TUNING = TextTuning(rank=16, steps=60, learning_rate=3e-2, temperature=0.2)


@pytest.fixture(scope="module")
def tuned(model: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    return tune_text(model, TEXTS, NEIGHBOURS, out, text_model=str(tiny), tuning=TUNING)


def test_a_tuned_model_finds_held_out_pairs_better_and_says_so(tuned: Path) -> None:
    metrics = read_manifest(tuned).metrics
    assert metrics["text_pairs_ndcg_at_10"] > metrics["parent_text_pairs_ndcg_at_10"]


def test_what_the_manifest_promises_is_what_the_graphs_compute(tuned: Path) -> None:
    serving = load_model(tuned)
    found = rank_pairs(serving.item_vectors(serving.encode_texts(TEXTS)), held_out_pairs(NEIGHBOURS))
    assert found.hit.mean() == pytest.approx(
        read_manifest(tuned).metrics["text_pairs_recall_at_10"], abs=0.05
    )


def test_its_texts_are_not_taken_for_the_parents(tuned: Path, model: Path) -> None:
    assert read_manifest(tuned).text_digest != read_manifest(model).text_digest
    assert "text" in read_manifest(tuned).trained


def test_the_report_has_every_step(tuned: Path) -> None:
    report = msgspec.json.decode((tuned / REPORT).read_bytes(), type=TextTuningReport)
    assert (len(report.losses), report.pairs) == (TUNING.steps, len(TEXTS))
    assert report.losses[-1] < report.losses[0]


def test_where_next_items_are_found_worse_no_model_is_written(
    model: Path, tiny: Path, tmp_path: Path
) -> None:
    serving = load_model(model)
    vectors = serving.item_vectors(serving.encode_texts(TEXTS))
    scores = vectors @ vectors.T - 2 * np.eye(len(vectors), dtype=np.float32)
    nearest = pairs(scores.argmax(axis=1).tolist())
    misled = TrainingSequences(NEIGHBOURS.train, nearest.valid, nearest.valid_targets)
    with pytest.raises(ModelError, match="keep the model as it is"):
        tune_text(model, TEXTS, misled, tmp_path, text_model=str(tiny), tuning=TUNING)
    assert not list(tmp_path.iterdir())


def test_a_text_model_that_is_not_the_models_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--text-model"):
        tune_text(model, TEXTS, NEIGHBOURS, tmp_path)


def test_few_pairs_cannot_tell(model: Path, tmp_path: Path) -> None:
    few = TrainingSequences(sequences_of([[0, 1]]), sequences_of([[0]]), np.array([1]))
    with pytest.raises(DataError, match="20 of each"):
        tune_text(model, TEXTS, few, tmp_path)


def test_pairs_are_of_an_item_and_the_next_and_never_of_one_item() -> None:
    assert next_pairs(sequences_of([[3, 4, 4, 5], [1]])).tolist() == [[3, 4], [4, 5]]


def test_the_digest_is_of_weights_and_tokenizer(tiny: Path) -> None:
    tower, tokenizer = load_text_tower(str(tiny), 8)
    before = digest_of_text(tower, tokenizer)
    with torch.no_grad():
        next(tower.parameters()).add_(1.0)
    assert len({before, digest_of_text(tower, tokenizer), digest_of_text(tower, tokenizer + " ")}) == 3
