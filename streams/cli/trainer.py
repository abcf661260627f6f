"""``freshet trainer``."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import time
from contextlib import closing
from pathlib import Path

import click
import msgspec

# Before anything loads numpy, as the worker does: training has its own threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from encoders.datasets import NAMES, load
from encoders.errors import ModelError, SettingsError
from exporters.model_manifest import read_manifest
from exporters.model_store import resolve_model
from streams.cli.model import PATH
from streams.kafka.processes import stop_signals
from streams.logs import configure_logging
from streams.messages import TrainingReason, TrainingRequest
from streams.settings import Settings, load_settings


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--once", is_flag=True, help="End after one training: of the next request, or of --dataset.")
@click.option(
    "--dataset", nargs=2, metavar="NAME PATH", help=f"With --once: files. NAME: {', '.join(NAMES)}."
)
@click.option("--model", type=PATH, help="With --dataset: the champion.")
@click.option("--out", type=PATH, help="With --dataset: models folder. Default: trainer.models.")
@click.option("--json", "as_json", is_flag=True, help="With --dataset: print the outcome as one JSON object.")
def trainer(
    config: Path | None,
    once: bool,
    dataset: tuple[str, str] | None,
    model: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Train a successor of the serving model on each request, and release it where the gate lets it through.

    Reads `training-requests`, replays the request's window of `items`, `clicks` and `purchases`, and
    publishes to `model-releases`. Start as many as you like: one at a time works on a model. With --dataset
    it needs no Kafka, and a version that passes becomes the `latest` of the models folder.

    \b
    Examples:
      FRESHET_TRAINER__MODELS=models freshet trainer
      freshet trainer --once --dataset movielens ml-100k/ --model models/ --out models/
    """
    settings = load_settings(config)
    if importlib.util.find_spec("torch") is None:
        raise ModelError("training needs torch: pip install 'freshet[train]'")
    configure_logging(settings.log)
    if dataset is None:
        if model or out:
            raise SettingsError("--model and --out go with --dataset: requests name their model")
        _serve(settings, once)
        return
    if not once or model is None:
        raise SettingsError("--dataset goes with --once and --model: the champion to train from")
    _train_on(settings, dataset, model, out or settings.trainer.models, as_json)


def _serve(settings: Settings, once: bool) -> None:
    from streams.composition import open_tracer
    from streams.kafka.topics import ensure_topics
    from streams.trainer.lease import open_lease
    from streams.trainer.metrics import TrainerMetrics, served
    from streams.trainer.progress import report
    from streams.trainer.trainer import Trainer

    metrics = TrainerMetrics()
    with (
        stop_signals() as stopped,
        served(metrics, settings.trainer) as port,
        closing(open_tracer(settings.tracing, "freshet-trainer")) as tracer,
    ):
        ensure_topics(settings.kafka)
        logging.getLogger(__name__).info("metrics on http://%s:%d", settings.trainer.host, port)
        with open_lease(settings.kafka) as lease:
            Trainer(settings, lease, metrics, stopped, report=report, tracer=tracer).run(once=once)


def _train_on(settings: Settings, dataset: tuple[str, str], model: Path, out: Path, as_json: bool) -> None:
    from streams.trainer.job import train
    from streams.trainer.outcomes import Outcomes
    from streams.trainer.progress import report
    from streams.trainer.trainer import concluded
    from streams.trainer.verdict import work_folder
    from streams.trainer.window import window_of

    settings = settings.model_copy(update={"trainer": settings.trainer.model_copy(update={"models": out})})
    champion = resolve_model(model)
    manifest = read_manifest(champion)
    name, path = dataset
    data = load(name, Path(path))
    now_ms = time.time_ns() // 1_000_000
    request = TrainingRequest(
        request_id=f"{name}-{now_ms}",
        model=manifest.name,
        parent=manifest.version,
        reasons=[TrainingReason(kind="manual", detail=f"{name} from files")],
        window_from_ms=0,
        window_until_ms=now_ms,
        requested_at=now_ms,
    )
    # Not of the request, which is new each time: an interrupted call is taken up again.
    work = work_folder(settings, Outcomes.name_of(f"{name} {path} {manifest.version}"))
    started = time.monotonic()
    with report() as progress:
        verdict = train(
            champion,
            lambda: window_of(data, max_events=settings.trainer.max_events),
            work,
            settings,
            progress.update,
        )
    outcome = concluded(
        Outcomes(out), request, verdict, time.monotonic() - started, work, lambda *_: 0, settings
    )
    shutil.rmtree(work, ignore_errors=True)
    if as_json:
        click.echo(msgspec.json.encode(outcome))
        return
    click.echo(f"{outcome.status} {outcome.version}: {outcome.sentence}")
    if outcome.report:
        click.echo(f"report: {out / 'reports' / outcome.report}.md")
