"""``freshet bench transfer``: learning curves of the whole system, from a parent and from scratch.

Three arms. ``transfer``: from the parent, with the policy ``adaptor-then-all``. ``plain-scratch``: as one
trains without Freshet's guards; the same architecture, features, candidates, epochs and early stopping, from
the untrained start, and what comes out serves. ``guarded-scratch``: the same training, and Freshet's guards:
what is not better beyond noise is not kept, so that it falls back on untrained profile plus co-visitation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences, from_leave_one_out
from encoders.config import ModelConfig, TrainingConfig
from encoders.covisitation import CovisitationConfig
from encoders.datasets import Dataset, LeaveOneOut
from encoders.errors import DataError
from encoders.evaluation.learning_curve import sampled
from encoders.evaluation.leave_one_out import evaluate
from encoders.evaluation.model_method import ModelMethod
from encoders.evaluation.two_stage import TwoStage
from encoders.runtime import ServingModel
from exporters.model_manifest import RANKER_WEIGHTS
from exporters.model_store import load_model, resolve_model
from streams.bench.transfer_figures import (
    GUARDED,
    PARENT,
    PLAIN,
    Cell,
    Figures,
    StageCurve,
    SystemPoint,
    figures_of,
)

if TYPE_CHECKING:
    from encoders.ranker import RankingRows
    from encoders.transfer import Policy
    from exporters.transfer_report import TransferReport

Vectors = npt.NDArray[np.float32]
POLICIES: dict[str, Policy] = {
    PARENT: "adaptor-then-all",
    PLAIN: "plain-scratch",
    GUARDED: "scratch",
}
FIGURES = "figures.json"


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """What to measure."""

    sizes: tuple[int | None, ...]
    """Target interactions; ``None``: all."""
    seeds: int
    epochs: int
    threads: int
    sampled_evidence: bool
    """Co-visitation and popularity are counted from the sample alone, and not from everybody."""
    cache: Path
    """Finished cells, texts and the untrained model stay here: what was measured is not measured again."""


def run_transfer(
    parent: Path, data: Dataset, options: TransferOptions, tell: Callable[[str], None]
) -> Figures:
    """Measure all cells, a seed after the other; the cache's ``figures.json`` has what is measured so far.

    Raises ``DataError`` where the target has no published split.
    """
    if data.split is None:
        raise DataError(f"{data.name} has no published split: learning curves need one")
    options.cache.mkdir(parents=True, exist_ok=True)
    bench = _Bench(parent, data, data.split, options)
    floor = bench.untrained()
    cells: list[Cell] = []
    for seed in range(options.seeds):
        for size in options.sizes:
            for arm in POLICIES:
                if size == 0 and (seed > 0 or arm == PLAIN):
                    continue  # nothing is drawn, and there is nothing to train on
                cells.append(bench.cell(arm, size, seed))
                (options.cache / FIGURES).write_text(figures_of(cells, floor).json())
                tell(f"{arm}, {'all' if size is None else size}, seed {seed}: {cells[-1].ndcg_at_10:.4f}")
    return figures_of(cells, floor)


class _Bench:
    def __init__(self, parent: Path, data: Dataset, split: LeaveOneOut, options: TransferOptions) -> None:
        self._parent, self._data, self._split, self._options = parent, data, split, options
        self._vectors = self._texts()

    def untrained(self) -> float:
        """NDCG@10 of the untrained text profile: no training, no evidence."""
        from exporters.model_factory import make_untrained

        folder = make_untrained(
            self._data.items,
            self._options.cache / "untrained",
            ModelConfig(),
            text_from=self._parent,
            text_vectors=self._vectors,
        )
        return self._towers_alone(load_model(folder, threads=self._options.threads))

    def cell(self, arm: str, size: int | None, seed: int) -> Cell:
        """One model and what it is worth, read from the cache where it was measured before."""
        name = f"{arm}-{'all' if size is None else size}-{seed}-{self._options.epochs}"
        if arm == PARENT:
            name += f"-{resolve_model(self._parent).name}"
        if self._options.sampled_evidence:
            name += "-sampled"
        file = self._options.cache / f"{name}.json"
        if not file.is_file():
            # A folder of its own: models that come out alike would share one version, and its report.
            with TemporaryDirectory(dir=self._options.cache) as models:
                file.write_bytes(msgspec.json.encode(self._measure(arm, size, seed, Path(models))))
        return msgspec.json.decode(file.read_bytes(), type=Cell)

    def _measure(self, arm: str, size: int | None, seed: int, models: Path) -> Cell:
        from exporters.transfer_factory import transfer
        from exporters.transfer_report import REPORT, TransferReport

        sample = sampled(self._split, size, seed)
        known = from_leave_one_out(sample.train, sample.valid, dataset=self._data.name)
        training = TrainingConfig(epochs=self._options.epochs, seed=seed, threads=self._options.threads)
        begun, cpu = time.perf_counter(), time.process_time()
        folder = transfer(
            self._parent,
            known,
            self._data.items,
            models,
            POLICIES[arm],
            training,
            ranking=None if size == 0 else lambda model: self._rows(model, sample, seed),
            text_vectors=self._vectors,
        )
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        model = load_model(folder, threads=self._options.threads)
        two_stage = TwoStage(arm, model, self._vectors, model.rank if model.ranker_graph else None)
        found = evaluate(
            two_stage,
            known_before_test(self._split, sample, self._options.sampled_evidence),
            len(self._data.items),
            train_only=True,
            seed=seed,
        )
        report = msgspec.json.decode((folder / REPORT).read_bytes(), type=TransferReport)
        return Cell(
            arm=arm,
            size=size,
            seed=seed,
            interactions=known.interactions + len(sample.valid),
            ndcg_at_10=found["ndcg_at_10"],
            ndcg_at_10_low=found["ndcg_at_10_low"],
            ndcg_at_10_high=found["ndcg_at_10_high"],
            recall_at_10=found["recall_at_10"],
            towers_ndcg_at_10=self._towers_alone(model),
            seconds=seconds,
            cpu_seconds=cpu,
            ranker_rows=report.ranker_rows,
            stages=msgspec.convert(msgspec.to_builtins(report.stages), list[StageCurve]),
            system=self._system(arm, report, known, sample, seed, models),
        )

    def _system(
        self,
        arm: str,
        report: TransferReport,
        known: TrainingSequences,
        sample: LeaveOneOut,
        seed: int,
        models: Path,
    ) -> list[SystemPoint]:
        """Before any step (from the parent), and after each epoch of the ranker."""
        if not sample.valid:
            return []
        share = report.ranker_rows / len(sample.valid)
        towers = sum(stage.steps_per_epoch * len(stage.curve) for stage in report.stages)
        curve = [
            SystemPoint(towers + epoch * report.ranker_steps, value * share)
            for epoch, value in enumerate(report.ranker_curve, 1)
        ]
        if arm != PARENT:
            return curve
        return [SystemPoint(0, self._zero_shot(known, sample, seed, models)), *curve]

    def _zero_shot(self, known: TrainingSequences, sample: LeaveOneOut, seed: int, models: Path) -> float:
        """Validation NDCG@10 of what the parent gives before anything is tuned, on what rankers hold out."""
        from encoders.ranked_rows import ndcg_of_rows
        from encoders.ranker import RankerConfig
        from encoders.ranker_tuning import held_out
        from exporters.ranker_files import read_ranker
        from exporters.transfer_factory import transfer

        training = TrainingConfig(seed=seed, threads=self._options.threads)
        items, out = self._data.items, models / "zero-shot"
        folder = transfer(self._parent, known, items, out, "zero-shot", training, text_vectors=self._vectors)
        weights = folder / RANKER_WEIGHTS
        rows = self._rows(load_model(folder, threads=self._options.threads), sample, seed)
        held = held_out(rows, RankerConfig(seed=seed))
        found = ndcg_of_rows(read_ranker(weights) if weights.is_file() else None, held)
        return float(found.mean()) * len(rows.targets) / len(sample.valid)

    def _rows(self, model: ServingModel, sample: LeaveOneOut, seed: int) -> RankingRows:
        """The sample's validation targets, with evidence as the worker has it: from what came before."""
        from encoders.ranking_rows import ranking_rows

        before = from_leave_one_out(sample.train if self._options.sampled_evidence else self._split.train, [])
        targets = from_leave_one_out([], sample.valid)
        rows = TrainingSequences(before.train, targets.valid, targets.valid_targets)
        vectors = model.item_vectors(self._vectors)
        return ranking_rows(model, vectors, rows, CovisitationConfig(), seed=seed)

    def _towers_alone(self, model: ServingModel) -> float:
        method = ModelMethod("towers", model, self._vectors)
        return evaluate(method, self._split, len(self._data.items))["ndcg_at_10"]

    def _texts(self) -> Vectors:
        file = self._options.cache / f"texts-{len(self._data.items)}.npy"
        if not file.is_file():
            model = load_model(self._parent, threads=self._options.threads)
            np.save(file, model.encode_texts([item.text for item in self._data.items]))
        vectors: Vectors = np.load(file, allow_pickle=False)
        return vectors


def known_before_test(split: LeaveOneOut, sample: LeaveOneOut, sampled_evidence: bool) -> LeaveOneOut:
    """All test targets of ``split``, with everything that evidence is counted from as the training part."""
    if sampled_evidence:
        known = [[*history, target] for history, target in sample.valid]
    else:
        known = [history for history, _ in split.test]
    return LeaveOneOut(known, [], split.test)
