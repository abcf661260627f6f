"""The trainer's loop: a request, a lease, a child at work, an outcome, and only then the commit."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from encoders.errors import BrokerError, BrokerUnavailable, FreshetError
from encoders.gate.report import GateReport
from exporters.model_manifest import read_manifest
from exporters.tracing import UNTRACED, Tracer, note
from streams.codec import Rejected
from streams.composition import policy_of
from streams.dead_letters import dead_letter
from streams.fold_types import DeadLetter, Received
from streams.kafka.producer import EventProducer
from streams.logs import bound
from streams.messages import TrainingRequest
from streams.places import place_of
from streams.releases.release import release
from streams.releases.topic import read_releases
from streams.settings import Settings
from streams.trainer.lease import Lease
from streams.trainer.metrics import TrainerMetrics
from streams.trainer.outcomes import Outcome, Outcomes, Release
from streams.trainer.process import COMMAND, TrainingProcess
from streams.trainer.progress import Report
from streams.trainer.requests import Accepted, accept, decode_request
from streams.trainer.verdict import Task, Verdict, work_folder

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0


class Trainer:
    """Works one request after the other off, until ``stopped``."""

    def __init__(
        self,
        settings: Settings,
        lease: Lease,
        metrics: TrainerMetrics,
        stopped: Event,
        *,
        report: Callable[[], Report],
        command: Sequence[str] = COMMAND,
        tracer: Tracer = UNTRACED,
    ) -> None:
        """``report`` makes what shows the progress of one training; ``command`` is the child's."""
        self._settings, self._lease, self._metrics = settings, lease, metrics
        self._stopped, self._report, self._command = stopped, report, command
        self._tracer = tracer
        self._outcomes = Outcomes(settings.trainer.models)
        self._limits = policy_of(settings).limits

    def run(self, *, once: bool = False) -> None:
        """Until ``stopped``, or with ``once`` until one request was worked on.

        Raises ``BrokerError`` where the topics cannot be used.
        """
        while not self._stopped.is_set():
            received = self._lease.next()
            if received is None:
                continue
            try:
                with bound(**place_of(received)), self._tracer.job("train", received):
                    handled = self._handle(received)
                if handled:
                    self._lease.done(received)
            except BrokerUnavailable as error:
                log.warning("%s; the request is tried again in %.0f s", error, WAIT_SECONDS)
                self._stopped.wait(WAIT_SECONDS)
                self._lease.again(received)
            except OSError as error:
                models = self._settings.trainer.models
                log.error("cannot write to %s: %s; make room there, the request is kept", models, error)
                self._stopped.wait(WAIT_SECONDS)
                self._lease.again(received)
            except BrokerError as error:
                log.warning("the request is left to another trainer: %s", error)
            else:
                if once and handled:
                    return

    def _handle(self, received: Received) -> bool:
        """Bring a request to its outcome; false where the lease was lost or the trainer stops before that."""
        request = decode_request(received.key, received.value, self._limits)
        if isinstance(request, Rejected):
            self._refuse(received, request)
            return True
        if (before := self._outcomes.find(request.request_id)) is not None:
            log.info("request %s was %s already", request.request_id, before.status)
            return True
        released = read_releases(self._settings.kafka).get(request.model)
        accepted = accept(request, self._settings, released)
        if isinstance(accepted, Rejected):
            self._refuse(received, accepted)
            self._conclude(request, _refused(accepted), 0.0)
            return True
        log.info("request %s: train a successor of %s", request.request_id, request.parent)
        started = time.monotonic()
        with self._metrics.at_work():
            verdict = self._train(received, accepted)
        if verdict is None:
            return False
        if verdict.reason is not None:
            self._refuse(received, Rejected(verdict.reason, verdict.sentence))
        self._conclude(request, verdict, time.monotonic() - started)
        note(received, verdict.status)
        return True

    def _train(self, received: Received, accepted: Accepted) -> Verdict | None:
        bounds = self._settings.trainer
        task = Task(request=accepted.request, champion=str(accepted.champion.absolute()))
        with (
            self._report() as progress,
            TrainingProcess(
                self._work(accepted.request),
                task,
                self._metrics.told(progress.update),
                max_seconds=bounds.max_seconds,
                max_memory_mb=bounds.max_memory_mb,
                command=self._command,
            ) as process,
        ):
            while not self._stopped.is_set():
                if not self._lease.held(received, process.stop):
                    log.warning("request %s belongs to another trainer now", accepted.request.request_id)
                    return None
                if (verdict := process.poll()) is not None:
                    return verdict
        return None

    def _conclude(self, request: TrainingRequest, verdict: Verdict, seconds: float) -> Outcome:
        work = self._work(request)
        outcome = concluded(self._outcomes, request, verdict, seconds, work, self._publish, self._settings)
        self._metrics.concluded(outcome, verdict.report)
        shutil.rmtree(work, ignore_errors=True)
        log.info(
            "request %s: %s %s: %s", request.request_id, outcome.status, outcome.version, outcome.sentence
        )
        return outcome

    def _work(self, request: TrainingRequest) -> Path:
        return work_folder(self._settings, self._outcomes.name_of(request.request_id))

    def _publish(self, folder: Path, report: GateReport) -> int:
        """Release a version, unless that was done before the trainer was interrupted."""
        manifest = read_manifest(folder)
        now = read_releases(self._settings.kafka).get(manifest.name)
        if now is not None and now.champion.version == manifest.version:
            return now.number
        return release(self._settings, str(folder.absolute()), gate=report.summary()).number

    def _refuse(self, received: Received, rejected: Rejected) -> None:
        log.warning("a training request is refused, %s: %s", rejected.reason, rejected.error)
        letter = dead_letter(DeadLetter(received, rejected))
        with EventProducer(self._settings.kafka) as producer:
            producer.send(letter.topic, letter.key, letter.value, letter.headers)


def concluded(
    outcomes: Outcomes,
    request: TrainingRequest,
    verdict: Verdict,
    seconds: float,
    work: Path,
    publish: Release,
    settings: Settings,
) -> Outcome:
    """The outcome of a verdict, recorded; a candidate that cannot be released is one that failed.

    Raises ``BrokerUnavailable``, and ``OSError`` where not even that can be written, with nothing recorded:
    try again.
    """
    try:
        return outcomes.conclude(
            request, verdict, seconds, work, publish, keep_rejected=settings.trainer.keep_rejected
        )
    except BrokerUnavailable:
        raise
    except (FreshetError, OSError) as error:
        failed = Verdict(status="failed", sentence=f"it passed, and cannot be released: {error}")
        return outcomes.conclude(request, failed, seconds, work, publish, keep_rejected=False)


def _refused(rejected: Rejected) -> Verdict:
    return Verdict(status="refused", reason=rejected.reason, sentence=rejected.error)
