"""A model for a target from a parent's knowledge: what is tuned, what stays. Needs the extra ``train``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig
from encoders.covisitation import CovisitationConfig
from encoders.domains import Domain
from encoders.events import Item
from encoders.progress import Progress, no_progress
from encoders.ranker import Ranker, RankerConfig, RankingRows
from encoders.ranker_tuning import TunedRanker, tune_ranker
from encoders.ranking_rows import ranking_rows
from encoders.runtime import ServingModel
from encoders.towers import Towers
from encoders.training import Outcome
from encoders.transfer import Policy, sized, start, tune, untrained_towers
from encoders.tuning import PARTS, changed_parts
from encoders.validation import Validation, mean
from encoders.whitening import fit_whitening
from exporters.catalogue_sample import alignment_metrics, write_sample
from exporters.model_manifest import RANKER_WEIGHTS, DataWindow, read_manifest
from exporters.model_store import ModelFacts, load_model, resolve_model, write_model
from exporters.onnx_export import OPSET
from exporters.ranker_files import read_ranker, write_ranker
from exporters.tower_files import encode_texts, load_towers, require_rows, write_text_tower, write_towers

Vectors = npt.NDArray[np.float32]
TargetDomain = Literal["new", "same"]
Ranking = Callable[[ServingModel], RankingRows]
WriteTowers = Callable[[Path], ModelFacts]
CHECKPOINT = ".transferring"
REPORT = "transfer.json"


class StageReport(msgspec.Struct, frozen=True):
    """What one stage of the towers' tuning came to."""

    improved: bool
    best_epoch: int
    steps_per_epoch: int
    start: float
    """Validation NDCG@10 before the stage."""
    curve: tuple[float, ...]
    """After each epoch."""


class TransferReport(msgspec.Struct, frozen=True, kw_only=True):
    """``transfer.json`` in the folder of a model that was made by ``transfer``."""

    policy: Policy
    domain: TargetDomain
    stages: list[StageReport]
    ranker_rows: int
    ranker_before: float | None
    ranker_after: float | None


@dataclass(frozen=True, slots=True)
class _Towers:
    """What became of the towers, and how they compare on validation."""

    towers: Towers
    outcomes: list[Outcome]
    changed: tuple[str, ...]
    metrics: dict[str, float]


def transfer(
    parent: Path,
    sequences: TrainingSequences,
    items: Sequence[Item],
    out: Path,
    policy: Policy,
    training: TrainingConfig,
    *,
    domain: TargetDomain = "new",
    replay: TrainingSequences | None = None,
    ranking: Ranking | None = None,
    text_vectors: Vectors | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Make a model for what ``sequences`` (indices into ``items``) show; returns its folder in ``out``.

    ``domain`` "same": the parent's own shop, later; its item vectors keep their meaning, and where nothing
    is better beyond noise the parent's folder is returned. "new": another shop; whitening is fitted on
    ``items``, and what the parent learned about items is left behind. ``replay``: older behaviour over the
    same ``items``, mixed in against forgetting. ``ranking`` gives the rows that the ranker is tuned on, by
    the model it will order for; default: the validation targets of ``sequences``. ``text_vectors``
    [n, text_dim] saves encoding. ``resume`` goes on after the last whole epoch of an interrupted call with
    the same arguments, where there was one. The same seed and threads give the same weights. Raises
    ``ModelError`` as ``load_model`` does, and where ``text_vectors`` are of another catalogue.
    """
    folder = resolve_model(parent)
    vectors = (
        encode_texts(folder, [i.text for i in items], progress) if text_vectors is None else text_vectors
    )
    require_rows(vectors, items)
    config, _ = load_towers(folder)
    training = sized(training, len(sequences.train))
    checkpoints = out / CHECKPOINT
    tuned = _tune_towers(
        folder, vectors, sequences, replay, policy, training, domain, checkpoints, resume, progress
    )
    write = partial(_write_towers, parent=folder, config=config, towers=tuned.towers, vectors=vectors)
    first = None if policy == "scratch" else _ranker_of(folder)
    ranker = _tune_ranker(write, config, first, vectors, sequences, policy, ranking, training, progress)
    if domain == "same" and not tuned.changed and not ranker.improved:
        written = folder
    else:
        written = _write(out, write, folder, config, tuned, ranker, vectors, sequences, policy, domain)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return written


def _tune_towers(
    folder: Path,
    vectors: Vectors,
    sequences: TrainingSequences,
    replay: TrainingSequences | None,
    policy: Policy,
    training: TrainingConfig,
    domain: TargetDomain,
    checkpoints: Path,
    resume: bool,
    progress: Progress,
) -> _Towers:
    config, parent = load_towers(folder, training.dropout)

    def validation(towers: Towers) -> Validation:
        target = Domain.of(towers.item, vectors, sequences)
        return Validation([target], training.max_validation, training.max_length, training.seed)

    whitening = fit_whitening(vectors, config.whitening_shrinkage)
    if policy == "scratch":
        towers = untrained_towers(config, whitening, training.dropout)
    elif domain == "same":
        towers = load_towers(folder, training.dropout)[1]
    else:
        towers = start(parent, config, vectors, training.dropout, validation)
    before = untrained_towers(config, whitening) if policy == "scratch" else parent
    shares = (1.0, 0.0) if replay is None else (1.0 - training.replay_share, training.replay_share)
    domains = [Domain.of(towers.item, vectors, sequences, shares[0])]
    if replay is not None and shares[1] > 0:
        domains.append(Domain.of(towers.item, vectors, replay, shares[1]))
    outcomes = []
    if sequences.interactions:
        version = f"{read_manifest(folder).version}/{domain}"
        outcomes = tune(
            towers,
            domains,
            policy,
            training,
            lambda name: Checkpoint(checkpoints / name),
            parent=version,
            resume=resume,
            progress=progress,
        )
    changed = changed_parts(towers, before)
    if domain == "new" and "adaptor" not in changed:
        changed = ("adaptor", *changed)  # fitted, on texts alone
    metrics = _validated(validation(towers), towers, untrained_towers(config, whitening))
    return _Towers(towers, outcomes, changed, metrics)


def _validated(validation: Validation, towers: Towers, untrained: Towers) -> dict[str, float]:
    """The result and the untrained profile on the same rows; none without rows."""
    if not validation:
        return {}
    found, floor = validation.rank(towers), validation.rank(untrained)
    return {
        "validation_ndcg_at_10": mean(found.ndcg),
        "validation_recall_at_10": mean(found.hit),
        "untrained_validation_ndcg_at_10": mean(floor.ndcg),
        "untrained_validation_recall_at_10": mean(floor.hit),
    } | {f"validation_{name}": value for name, value in validation.by_task(found).items()}


def _write_towers(
    folder: Path, *, parent: Path, config: ModelConfig, towers: Towers, vectors: Vectors
) -> ModelFacts:
    """A model without a ranker in a folder that is being built, and what holds of it so far."""
    manifest = read_manifest(parent)
    name, digest = write_text_tower(folder, config, None, parent)
    write_towers(folder, config, towers, {})
    write_sample(folder, vectors)
    return ModelFacts(
        parent=manifest.version,
        opset=OPSET,
        text_model=name,
        text_digest=digest,
        trained=(),
        data=DataWindow(),
        metrics={},
    )


def _ranker_of(folder: Path) -> Ranker | None:
    weights = folder / RANKER_WEIGHTS
    return read_ranker(weights) if weights.is_file() else None


def _tune_ranker(
    write: WriteTowers,
    config: ModelConfig,
    first: Ranker | None,
    vectors: Vectors,
    sequences: TrainingSequences,
    policy: Policy,
    ranking: Ranking | None,
    training: TrainingConfig,
    progress: Progress,
) -> TunedRanker:
    has_rows = ranking is not None or (sequences.valid is not None and len(sequences.valid) > 0)
    if policy == "zero-shot" or not has_rows:
        return TunedRanker(first, False, 0, float("nan"), float("nan"))
    with TemporaryDirectory(prefix="freshet-transfer-") as scratch:
        draft = write_model(Path(scratch), write, name=config.name)
        model = load_model(draft, threads=training.threads)
        if ranking is not None:
            rows = ranking(model)
        else:
            known = model.item_vectors(vectors)
            rows = ranking_rows(model, known, sequences, CovisitationConfig(), seed=training.seed)
    return tune_ranker(first, rows, RankerConfig(seed=training.seed, threads=training.threads), progress)


def _write(
    out: Path,
    write: WriteTowers,
    parent: Path,
    config: ModelConfig,
    tuned: _Towers,
    ranker: TunedRanker,
    vectors: Vectors,
    sequences: TrainingSequences,
    policy: Policy,
    domain: TargetDomain,
) -> Path:
    trained = (*tuned.changed, *(["ranker"] if ranker.improved else []))
    metrics = tuned.metrics | alignment_metrics(parent, vectors, tuned.towers.item)
    if ranker.rows:
        metrics |= {"ranker_rows": float(ranker.rows)}
    if np.isfinite(ranker.after):
        metrics |= {
            "ranker_held_out_ndcg_at_10": ranker.after,
            "parent_ranker_held_out_ndcg_at_10": ranker.before,
        }

    def build(folder: Path) -> ModelFacts:
        facts = write(folder)
        (folder / "metrics.json").write_bytes(msgspec.json.encode(metrics, order="sorted"))
        (folder / REPORT).write_bytes(msgspec.json.encode(_report(tuned, ranker, policy, domain)))
        if ranker.ranker is not None:
            write_ranker(ranker.ranker, folder)
        return msgspec.structs.replace(
            facts,
            parent=None if policy == "scratch" else facts.parent,
            trained=trained,
            frozen=tuple(part for part in (*PARTS, "ranker", "text") if part not in trained),
            data=DataWindow(
                dataset=sequences.dataset,
                items=len(vectors),
                interactions=sequences.interactions,
                from_ms=sequences.from_ms,
                until_ms=sequences.until_ms,
            ),
            metrics=metrics,
        )

    return write_model(out, build, name=config.name)


def _report(tuned: _Towers, ranker: TunedRanker, policy: Policy, domain: TargetDomain) -> TransferReport:
    stages = [
        StageReport(o.improved, o.best_epoch, o.steps, o.untrained_ndcg_at_10, o.curve)
        for o in tuned.outcomes
    ]
    known = np.isfinite(ranker.after)
    return TransferReport(
        policy=policy,
        domain=domain,
        stages=stages,
        ranker_rows=ranker.rows,
        ranker_before=ranker.before if known else None,
        ranker_after=ranker.after if known else None,
    )
