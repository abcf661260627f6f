"""The progressive protocol of ``freshet evaluate``: data with times, replayed on one global clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from encoders.datasets import Dataset
from encoders.errors import ModelError, SettingsError
from encoders.evaluation.baselines import TUNED, Settings, baseline, names_for, tune
from encoders.evaluation.progressive import QUANTILE, ProgressiveMethod, Replayed, run
from encoders.evaluation.progressive_figures import GROUPS, Figures, difference, figures
from encoders.evaluation.timeline import Stage, Timeline, Vectors, timeline_of
from streams.cli.evaluate_output import Output, Report, Row, print_json, write_report
from streams.cli.evaluate_sasrec import SASREC, sasrec, tune_sasrec
from streams.cli.evaluate_two_stage import Training, ablated, two_stage
from streams.cli.training_progress import TrainingBar

TEXT = "decayed-text"
FRESHET = "freshet"
"""The running pipeline itself; needs --model."""
TWO_STAGE = "two-stage"
"""Its offline copy; needs --model."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    methods: str | None
    model: Path | None
    seed: int
    tune: bool
    sasrec_python: Path | None
    ablation: Training | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One method's replay and its figures by group."""

    name: str
    settings: Settings
    replayed: Replayed
    figures: dict[str, Figures]


def evaluate(data: Dataset, options: Options, output: Output) -> None:
    """Replay every method and write the figures.

    Raises ``DataError`` where the data has no times, ``SettingsError`` for an unknown method.
    """
    if options.ablation is not None and options.model is None:
        raise SettingsError("--ablation replays a model: name it with --model")
    timeline = timeline_of(data)
    chosen = _available(_chosen(options, timeline), options)
    vectors = _text_vectors(data, options.model) if TEXT in chosen or options.model else None
    past, future = timeline.events.split(QUANTILE)
    stage = timeline.stage(float(future.seconds[0]), vectors)
    with TrainingBar() as bar:
        if options.ablation is not None:
            outcomes = _ablation(timeline, vectors, options, bar)
        else:
            outcomes = [_evaluate(name, timeline, vectors, options, bar) for name in chosen]
    best = max(outcomes, key=lambda outcome: outcome.figures["all"]["ndcg_at_10"])
    if output.as_json:
        print_json(_as_json(outcome, best, timeline, stage, options) for outcome in outcomes)
    title = f"{timeline.name}, progressive: {len(past):,} events learned, {len(future):,} replayed"
    groups = {_heading(group, outcomes): [_row(one, group) for one in outcomes] for group in GROUPS}
    notes = [_behind(outcome, best, timeline, stage, options) for outcome in outcomes if outcome is not best]
    write_report(Report(title, groups, notes), output)


def _chosen(options: Options, timeline: Timeline) -> list[str]:
    own = [FRESHET, TWO_STAGE] if options.model else []
    known = [*names_for(timeline), *([SASREC] if options.sasrec_python else []), *own]
    if options.methods in (None, "all"):
        return known
    chosen = [name.strip() for name in str(options.methods).split(",")]
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise SettingsError(f"no method {', '.join(unknown)} here: choose of {', '.join(known)}")
    return chosen


def _available(chosen: list[str], options: Options) -> list[str]:
    """Those that what is installed can run; the others are named on stderr, with what they need."""
    missing = {}
    if find_spec("implicit") is None:
        missing["als"] = "needs implicit: pip install 'freshet[bench]'"
    if find_spec("torch") is None and options.model is None:
        missing[TEXT] = "needs torch: pip install 'freshet[train]', or name a model with --model"
    for name in chosen:
        if name in missing:
            click.echo(f"left out: {name} {missing[name]}", err=True)
    left = [name for name in chosen if name not in missing]
    if not left:
        raise SettingsError("none of the methods can run here: see the lines above")
    return left


def _evaluate(
    name: str, timeline: Timeline, vectors: Vectors | None, options: Options, bar: TrainingBar
) -> _Outcome:
    settings = TUNED.get(timeline.name, {}).get(name, {})
    if options.tune:
        settings = _tuned(name, timeline, vectors, options)
    with _made(name, settings, timeline, options) as method:
        replayed, stage = run(
            method,
            timeline,
            vectors,
            progress=lambda done, total: bar.update(name, done, total, "baskets"),
        )
    past, _ = timeline.events.split(QUANTILE)
    return _Outcome(name, settings, replayed, figures(replayed, past, stage, vectors, seed=options.seed))


def _ablation(
    timeline: Timeline, vectors: Vectors | None, options: Options, bar: TrainingBar
) -> list[_Outcome]:
    """Everything that the ablation compares, in one replay."""
    assert options.model is not None
    assert options.ablation is not None
    past, future = timeline.events.split(QUANTILE)
    stage = timeline.stage(float(future.seconds[0]), vectors)
    method = ablated(options.model, timeline, past, stage, options.ablation, bar.update)
    first, _ = run(
        method, timeline, vectors, progress=lambda done, total: bar.update("replay", done, total, "baskets")
    )
    return [
        _Outcome(name, {}, one, figures(one, past, stage, vectors, seed=options.seed))
        for name, one in method.replays(first).items()
    ]


@contextmanager
def _made(name: str, settings: Settings, timeline: Timeline, options: Options) -> Iterator[ProgressiveMethod]:
    if name == FRESHET and options.model is not None:
        from streams.bench.progressive import RunningPipeline

        with closing(RunningPipeline(options.model, timeline)) as pipeline:
            yield pipeline
    elif name == TWO_STAGE and options.model is not None:
        yield two_stage(options.model, timeline)
    elif name == SASREC and options.sasrec_python is not None:
        yield sasrec(timeline, options.sasrec_python, options.seed, settings)
    else:
        yield baseline(name, timeline.name, settings)


def _tuned(name: str, timeline: Timeline, vectors: Vectors | None, options: Options) -> Settings:
    """The best of the grid; every trial is told on stderr."""
    trials = tune(name, timeline, vectors)
    if name == SASREC and options.sasrec_python is not None:
        trials = tune_sasrec(timeline, options.sasrec_python, options.seed)
    tried: list[tuple[Settings, float]] = []
    for settings, value in trials:
        tried.append((settings, value))
        click.echo(f"{name} {settings or 'as it is'}: validation NDCG@10 {value:.5f}", err=True)
    best, value = max(tried, key=lambda trial: trial[1])
    click.echo(f"{name}: {best or 'as it is'}, the best of {len(tried)}, {value:.5f}", err=True)
    return best


def _text_vectors(data: Dataset, model: Path | None) -> Vectors:
    """[n_items, text_dim], by the text tower of the model, or by the packaged one."""
    from exporters.model_store import load_model

    with TemporaryDirectory(prefix="freshet-evaluate-") as scratch:
        serving = load_model(model or _text_model(data, Path(scratch)), threads=os.cpu_count() or 1)
        return serving.encode_texts([item.text for item in data.items])


def _text_model(data: Dataset, scratch: Path) -> Path:
    """A model for its text tower's sake: one item is enough, the method whitens by itself."""
    from encoders.config import ModelConfig

    try:
        from exporters.model_factory import make_untrained
    except ModuleNotFoundError as error:
        raise ModelError(f"texts need {error.name}: pip install 'freshet[train]', or --model") from error
    return make_untrained(data.items[:1], scratch, ModelConfig())


def _row(outcome: _Outcome, group: str) -> Row:
    return {"method": outcome.name, **outcome.figures[group]}


def _heading(group: str, outcomes: list[_Outcome]) -> str:
    counts = outcomes[0].figures[group]
    return f"{group.replace('_', ' ')} ({counts['cases']:,.0f} baskets, {counts['users']:,.0f} users)"


def _as_json(
    outcome: _Outcome, best: _Outcome, timeline: Timeline, stage: Stage, options: Options
) -> dict[str, object]:
    return {
        "method": outcome.name,
        "protocol": "progressive",
        "dataset": timeline.name,
        "settings": outcome.settings,
        **outcome.figures,
        "ndcg_at_10_behind_best": [best.name, *_difference(best, outcome, timeline, stage, options)],
    }


def _behind(outcome: _Outcome, best: _Outcome, timeline: Timeline, stage: Stage, options: Options) -> str:
    mean, low, high = _difference(best, outcome, timeline, stage, options)
    return f"{best.name} over {outcome.name}: NDCG@10 {mean:+.4f} [{low:+.4f}, {high:+.4f}], paired by basket"


def _difference(
    best: _Outcome, other: _Outcome, timeline: Timeline, stage: Stage, options: Options
) -> tuple[float, float, float]:
    past, _ = timeline.events.split(QUANTILE)
    return difference(best.replayed, other.replayed, past, stage, seed=options.seed)
