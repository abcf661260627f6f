"""Pretraining on several shops: a trunk that all share, an adaptor for each. Needs the extra ``train``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig
from encoders.domains import Domain
from encoders.events import Item
from encoders.progress import Progress, no_progress
from encoders.ranker import Ranker, RankerConfig, RankingRows, train_ranker
from encoders.runtime import ServingModel
from encoders.towers import ItemTower, Towers, new_towers
from encoders.training import Outcome, Trainer
from encoders.transfer import untrained_towers
from encoders.tuning import PARTS, Tuning, changed_parts
from encoders.whitening import Whitening, aligned, fit_whitening
from exporters.catalogue_sample import write_sample
from exporters.model_manifest import DataWindow
from exporters.model_store import ModelFacts, load_model, write_model
from exporters.onnx_export import OPSET
from exporters.ranker_files import write_default_ranker, write_ranker
from exporters.tower_files import encode_texts, write_text_tower, write_towers

Vectors = npt.NDArray[np.float32]
Ranking = Callable[[ServingModel, Vectors], RankingRows]
CHECKPOINT = ".pretraining"
TRUNK = Tuning(("decay", "user_residual"), calibrated=True)
"""What carries over from shop to shop; what items mean does not, and is not learned here."""


@dataclass(frozen=True, slots=True)
class Source:
    """One shop to learn from."""

    name: str
    items: Sequence[Item]
    sequences: TrainingSequences
    ranking: Ranking | None = None
    """Makes the ranker's rows from the shop's own model and text vectors; ``None``: it gives none."""


def pretrain_sources(
    sources: Sequence[Source],
    out: Path,
    config: ModelConfig,
    training: TrainingConfig,
    *,
    text_model: str | None = None,
    text_from: Path | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Train one user tower, and one ranker, on several shops; returns the version's folder in ``out``.

    Each shop's texts are whitened by themselves, with axes turned to those of all shops together; every shop
    gives the same number of batches. The ranker learns from the rows of all shops that give some; else the
    packaged one comes along. The text tower is ``text_model``, or that of the model at ``text_from``.
    Raises ``SettingsError`` where there is nothing to resume, ``ModelError`` as
    ``make_untrained``.
    """
    with TemporaryDirectory(prefix="freshet-pretrain-") as name:
        scratch = Path(name)
        text = write_text_tower(scratch, config, text_model, text_from)
        vectors = [encode_texts(scratch, [i.text for i in source.items], progress) for source in sources]
        shared = _shared_whitening(vectors, config)
        adaptors = [
            ItemTower(config, aligned(fit_whitening(v, config.whitening_shrinkage), shared, config.dim))
            for v in vectors
        ]
        towers = untrained_towers(config, shared, training.dropout)
        checkpoint = Checkpoint(out / CHECKPOINT)
        outcome = _train(towers, adaptors, vectors, sources, training, checkpoint, resume, progress)

        def write(folder: Path, whole: Towers, of: Vectors, ranker: Ranker | None) -> ModelFacts:
            for file in ("text.onnx", "tokenizer.json"):
                shutil.copyfile(scratch / file, folder / file)
            write_towers(folder, config, whole, {})
            write_sample(folder, of)
            write_default_ranker(folder) if ranker is None else write_ranker(ranker, folder)
            changed = changed_parts(whole, untrained_towers(config, shared))
            trained = (*changed, *([] if ranker is None else ["ranker"]))
            return _facts(text, sources, outcome, training, trained)

        rows: list[RankingRows] = []
        for source, adaptor, of in zip(sources, adaptors, vectors):
            if source.ranking is not None:
                own = partial(write, whole=new_towers(adaptor, towers.user, 0.0), of=of, ranker=None)
                folder = write_model(scratch / f"source-{len(rows)}", own, name=config.name)
                found = source.ranking(load_model(folder, threads=training.threads), of)
                rows.append(found.without(("factors",)))  # they are of one shop's items
        settings = RankerConfig(seed=training.seed, threads=training.threads)
        ranker = train_ranker(rows, settings, progress).ranker if rows else None
        written = write_model(
            out, lambda f: write(f, towers, np.concatenate(vectors), ranker), name=config.name
        )
    checkpoint.remove()
    return written


def _shared_whitening(vectors: Sequence[Vectors], config: ModelConfig) -> Whitening:
    """Of all shops' texts together, each with as many as the smallest has."""
    least = min(map(len, vectors))
    rng = np.random.default_rng(0)
    drawn = [v[np.sort(rng.permutation(len(v))[:least])] for v in vectors]
    return fit_whitening(np.concatenate(drawn), config.whitening_shrinkage)


def _train(
    towers: Towers,
    adaptors: Sequence[ItemTower],
    vectors: Sequence[Vectors],
    sources: Sequence[Source],
    training: TrainingConfig,
    checkpoint: Checkpoint,
    resume: bool,
    progress: Progress,
) -> Outcome:
    domains = [Domain.of(a, v, s.sequences) for a, v, s in zip(adaptors, vectors, sources)]
    # The smallest first: it gives an epoch's length, so that none is passed over twice.
    domains.sort(key=lambda domain: len(domain.data.train))
    names = "+".join(source.name for source in sources)
    return Trainer(towers, domains, training, TRUNK).run(checkpoint, progress, resume=resume, parent=names)


def _facts(
    text: tuple[str, str],
    sources: Sequence[Source],
    outcome: Outcome,
    training: TrainingConfig,
    trained: tuple[str, ...],
) -> ModelFacts:
    metrics = {
        "validation_ndcg_at_10": outcome.ndcg_at_10,
        "validation_recall_at_10": outcome.recall_at_10,
        "untrained_validation_ndcg_at_10": outcome.untrained_ndcg_at_10,
    }
    return ModelFacts(
        parent=None,
        opset=OPSET,
        text_model=text[0],
        text_digest=text[1],
        trained=trained,
        frozen=tuple(part for part in (*PARTS, "ranker", "text") if part not in trained),
        data=DataWindow(
            dataset="+".join(source.name for source in sources),
            items=sum(len(source.items) for source in sources),
            interactions=sum(source.sequences.interactions for source in sources),
        ),
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)}
        | training.task_weights,
    )
