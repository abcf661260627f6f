"""A model for a target from a parent's knowledge: what is tuned, what stays. Needs the extra ``train``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences
from encoders.config import ModelConfig, TrainingConfig
from encoders.covisitation import CovisitationConfig
from encoders.domains import Domain
from encoders.events import Item
from encoders.progress import Progress, no_progress
from encoders.ranked_rows import ndcg_of_systems
from encoders.ranker import Ranker, RankerConfig, RankingRows
from encoders.ranker_tuning import TunedRanker, believed_ranker, tune_ranker
from encoders.ranking_rows import ranking_rows
from encoders.runtime import ServingModel
from encoders.towers import Towers
from encoders.transfer import FROM_NOTHING, Policy, sized, source_domain
from encoders.tuning import PARTS
from exporters.catalogue_sample import alignment_metrics, write_sample
from exporters.model_manifest import DISTILLED_METRIC, INT8_METRIC, RANKER_WEIGHTS, DataWindow, read_manifest
from exporters.model_store import ModelFacts, load_model, resolve_model, write_model
from exporters.onnx_export import OPSET
from exporters.ranker_files import read_ranker, write_ranker
from exporters.tower_files import encode_texts, load_towers, require_rows, write_text_tower, write_towers
from exporters.transfer_report import REPORT, TargetDomain, report_of
from exporters.transferred_towers import Replay, TransferredTowers, transferred_towers

Vectors = npt.NDArray[np.float32]
Ranking = Callable[[ServingModel], RankingRows]
WriteTowers = Callable[[Path], ModelFacts]
CHECKPOINT = ".transferring"


@dataclass(frozen=True, slots=True)
class SourceBehaviour:
    """What users of another shop, one of the parent's, did: replayed against forgetting."""

    items: Sequence[Item]
    sequences: TrainingSequences
    """Indices into ``items``; only the training part is read."""


@dataclass(frozen=True, slots=True)
class _System:
    """Towers, and the ranker for them."""

    towers: TransferredTowers
    write: WriteTowers
    ranker: TunedRanker
    rows: RankingRows | None
    """What the ranker was tuned on."""


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
    source: SourceBehaviour | None = None,
    ranking: Ranking | None = None,
    text_vectors: Vectors | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Make a model for what ``sequences`` (indices into ``items``) show; returns its folder in ``out``.

    ``domain`` "same": the parent's own shop, later; its item vectors keep their meaning, and where nothing
    is better beyond noise the parent's folder is returned. "new": another shop; whitening is fitted on
    ``items``, and what the parent learned about items is left behind. ``replay``: older behaviour over the
    same ``items``, mixed in against forgetting; ``source``: behaviour of a shop of the parent's, too, read
    through an adaptor of its own; together they have ``replay_share`` of the steps. ``ranking`` gives the
    rows that the ranker is tuned on, by the model it will order for; default: the validation targets of
    ``sequences``. ``text_vectors`` [n, text_dim] saves encoding. ``resume`` goes on after the last whole
    epoch of an interrupted call with the same arguments, where there was one. The same seed and threads give
    the same weights. Raises ``ModelError`` as ``load_model`` does, and where ``text_vectors`` are of another
    catalogue.
    """
    folder = resolve_model(parent)
    vectors = (
        encode_texts(folder, [i.text for i in items], progress) if text_vectors is None else text_vectors
    )
    require_rows(vectors, items)
    config, _ = load_towers(folder)
    training = sized(training, len(sequences.train))
    checkpoints = out / CHECKPOINT
    replays: list[Replay] = []
    if replay is not None:
        replays.append(lambda towers, share: Domain.of(towers.item, vectors, replay, share))
    if source is not None:
        theirs = encode_texts(folder, [i.text for i in source.items], progress)
        replays.append(lambda towers, share: source_domain(towers, config, theirs, source.sequences, share))
    begun, tuned = transferred_towers(
        folder, vectors, sequences, replays, policy, training, domain, checkpoints, resume, progress
    )
    first = None if policy in FROM_NOTHING else _ranker_of(folder)

    def system(towers: TransferredTowers) -> _System:
        write = partial(_write_towers, parent=folder, config=config, towers=towers.towers, vectors=vectors)
        rows = _rows(write, config, vectors, sequences, policy, ranking, training)
        return _System(towers, write, *_tune_ranker(first, rows, policy, training, progress))

    best = system(tuned)
    if begun is not tuned and policy not in FROM_NOTHING and _comparable(best):
        best = _whole_better(best, system(begun))
    if domain == "same" and not best.towers.changed and not best.ranker.improved:
        written = folder
    else:
        written = _write(out, best, folder, config, vectors, sequences, policy, domain, training)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return written


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


def _rows(
    write: WriteTowers,
    config: ModelConfig,
    vectors: Vectors,
    sequences: TrainingSequences,
    policy: Policy,
    ranking: Ranking | None,
    training: TrainingConfig,
) -> RankingRows | None:
    """What the ranker is tuned on, as the towers bring it about; ``None`` where nothing is tuned."""
    has_rows = ranking is not None or (sequences.valid is not None and len(sequences.valid) > 0)
    if policy == "zero-shot" or not has_rows:
        return None
    with TemporaryDirectory(prefix="freshet-transfer-") as scratch:
        draft = write_model(Path(scratch), write, name=config.name)
        model = load_model(draft, threads=training.threads)
        if ranking is not None:
            return ranking(model)
        known = model.item_vectors(vectors)
        return ranking_rows(model, known, sequences, CovisitationConfig(), seed=training.seed)


def _tune_ranker(
    first: Ranker | None,
    rows: RankingRows | None,
    policy: Policy,
    training: TrainingConfig,
    progress: Progress,
) -> tuple[TunedRanker, RankingRows | None]:
    if rows is None:
        return TunedRanker(first, False, 0), None
    settings = _ranker_config(training)
    if policy == "plain-scratch":
        return believed_ranker(rows, settings, progress), rows
    return tune_ranker(first, rows, settings, progress), rows


def _ranker_config(training: TrainingConfig) -> RankerConfig:
    return RankerConfig(seed=training.seed, threads=training.threads)


def _comparable(system: _System) -> bool:
    """Whether questions can be told apart; where not, a gate that asks the whole has to come after."""
    return system.rows is not None and system.rows.questions is not None


def _whole_better(tuned: _System, begun: _System) -> _System:
    """Towers that are better alone may be worse below a ranker: the whole decides, on the same questions."""
    if tuned.rows is None or begun.rows is None:
        return tuned
    asked = [(tuned.rows, tuned.ranker.unseen), (begun.rows, begun.ranker.unseen)]
    with_tuned, without = ndcg_of_systems(asked)
    return begun if without.mean() > with_tuned.mean() else tuned


def _write(
    out: Path,
    system: _System,
    parent: Path,
    config: ModelConfig,
    vectors: Vectors,
    sequences: TrainingSequences,
    policy: Policy,
    domain: TargetDomain,
    training: TrainingConfig,
) -> Path:
    tuned, ranker = system.towers, system.ranker
    trained = (*tuned.changed, *(["ranker"] if ranker.improved else []))
    metrics = tuned.metrics | alignment_metrics(parent, vectors, tuned.towers.item)
    metrics |= _inherited(parent, tuned.changed)
    if policy != "zero-shot":
        metrics |= training.task_weights
    if ranker.rows:
        metrics |= {"ranker_rows": float(ranker.rows)}
    if np.isfinite(ranker.after):
        metrics |= {
            "ranker_held_out_ndcg_at_10": ranker.after,
            "parent_ranker_held_out_ndcg_at_10": ranker.before,
        }

    def build(folder: Path) -> ModelFacts:
        facts = system.write(folder)
        (folder / "metrics.json").write_bytes(msgspec.json.encode(metrics, order="sorted"))
        (folder / REPORT).write_bytes(msgspec.json.encode(report_of(tuned.outcomes, ranker, policy, domain)))
        if ranker.ranker is not None:
            # Without rows nothing was tuned: another shop's factors say nothing, its own it keeps whole.
            write_ranker(ranker.ranker, folder, None if system.rows is None else system.rows.factors)
        return msgspec.structs.replace(
            facts,
            parent=None if policy in FROM_NOTHING else facts.parent,
            trained=trained,
            frozen=tuple(part for part in (*PARTS, "ranker", "text") if part not in trained),
            data=DataWindow.of(sequences, len(vectors)),
            metrics=metrics,
        )

    return write_model(out, build, name=config.name)


def _inherited(parent: Path, changed: Sequence[str]) -> dict[str, float]:
    """What the gate asks of a parent's parts that are as they were: the text tower, unchanged towers."""
    names = (INT8_METRIC,) if changed else (INT8_METRIC, DISTILLED_METRIC)
    metrics = read_manifest(parent).metrics
    return {name: metrics[name] for name in names if name in metrics}
