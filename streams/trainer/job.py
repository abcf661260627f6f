"""One training from start to verdict: window, candidate, gate. Needs the extra ``train``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from encoders.errors import DataError, ModelCorrupt
from encoders.gate.report import GateReport, refusal, sentence_of
from encoders.progress import Progress
from exporters.model_manifest import read_manifest
from exporters.model_store import load_model
from streams.composition import policy_of, replay_of
from streams.schema_registry import avro_reader
from streams.settings import Settings
from streams.trainer.candidate import train_candidate
from streams.trainer.judgement import judge_candidate
from streams.trainer.text_vectors import TEXTS, TextVectors
from streams.trainer.verdict import CANDIDATES, Task, Verdict
from streams.trainer.window import Window, replay_window


def replayed_window(task: Task, settings: Settings, progress: Progress) -> Window:
    """The request's window of the topics; raises ``BrokerError`` or ``DataError``."""
    bounds, request, policy = settings.trainer, task.request, policy_of(settings)
    return replay_window(
        settings.kafka,
        policy.limits,
        request.window_from_ms,
        request.window_until_ms,
        max_events=bounds.max_events,
        max_items=bounds.max_items,
        avro=avro_reader(settings.codec),
        behaviours=policy.behaviours,
        progress=progress,
    )


def train(
    champion: Path, read: Callable[[], Window], folder: Path, settings: Settings, progress: Progress
) -> Verdict:
    """Train a successor of the model in the folder ``champion`` on a window, and judge it.

    The candidate is left in ``folder``, where an interrupted call is taken up again. A window that cannot be
    learned from is ``refused``; where nothing can be written, for want of room or rights, the training has
    ``failed``. Raises ``ModelError`` and ``BrokerError``.
    """
    try:
        window = read()
        if len(window.events) < settings.trainer.min_events:
            least = settings.trainer.min_events
            raise DataError(f"{len(window.events)} usable events in the window, {least} are needed")
        verdict = _trained(champion, window, folder, settings, progress)
    except DataError as error:
        return Verdict(status="refused", reason="empty_window", sentence=str(error))
    except OSError as error:
        return Verdict(status="failed", sentence=f"cannot work in {settings.trainer.models}: {error}")
    return msgspec.structs.replace(
        verdict,
        items=len(window.items),
        events=len(window.events),
        older=len(window.older),
        skipped=dict(+window.skipped),
    )


def _trained(champion: Path, window: Window, folder: Path, settings: Settings, progress: Progress) -> Verdict:
    texts = TextVectors(settings.trainer.models / TEXTS)
    replayed, repeats = replay_of(settings), repeats_of(settings)
    digest = read_manifest(champion).text_digest
    encoder = load_model(champion, threads=settings.trainer.threads)
    vectors = texts.of(encoder, digest, [item.text for item in window.items], progress)
    try:
        candidate = train_candidate(
            champion,
            window,
            folder / CANDIDATES,
            settings.trainer,
            text_vectors=vectors,
            repeats=repeats,
            replayed=replayed,
            progress=progress,
        )
    except ModelCorrupt as error:  # the champion loaded: it is what was written of the candidate
        return _judged(refusal(encoder.version, "a candidate", "computes", str(error)))
    report = judge_candidate(
        champion,
        candidate,
        window,
        settings.trainer,
        texts=texts,
        repeats=repeats,
        replayed=replayed,
        progress=progress,
    )
    return _judged(report, "" if candidate == champion else candidate.name)


def _judged(report: GateReport, candidate: str = "") -> Verdict:
    """What the gate said; ``candidate``: the version, where there is one."""
    sentence = (
        "; ".join(sentence_of(check) for check in report.failed) or "better, sound, and holds elsewhere"
    )
    status: Literal["passed", "rejected"] = "passed" if report.passed else "rejected"
    return Verdict(status=status, sentence=sentence, candidate=candidate, report=report)


def repeats_of(settings: Settings) -> bool:
    """Whether what a user had may be recommended to the user again."""
    rules = settings.recommendations
    return rules.hide_bought_days == 0 and rules.hide_seen_days == 0
