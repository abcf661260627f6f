"""One micro-batch of interactions, from bytes to acknowledged recommendations.

The order is what makes a crash at any point harmless (``docs/topology.md``):

1. decode; group by user; load states (cache, then one batched read)
2. fold: drop what the stored offsets say was applied, and repeated ids; step the encoder; retrieve; choose
3. publish dead letters and evidence — before the write, because after it a replay would take them for done
4. compare-and-swap the users, and wait; users whose write lost are read and folded again
5. publish recommendations; only then does the caller acknowledge the batch

A replayed batch finds its offsets applied, changes nothing, and publishes each user's recommendation again.
Evidence that is sent twice counts once (``streams.evidence_pipeline``). Events that waited for an item have
no acknowledgement to hold back: for them 5 comes before 4.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoders.covisitation import CovisitationConfig
from encoders.errors import StoreUnavailable
from encoders.events import EventType, Interaction
from exporters import tracing
from exporters.publisher import Outgoing
from streams.codec import Limits, Rejected, decode_interaction
from streams.contest import lists_of
from streams.dead_letters import dead_letter
from streams.drift.reporter import DriftReporter
from streams.evidence_messages import bundles
from streams.fold_types import Behaviours, Bounds, DeadLetter, FoldContext, Folded, Outcome, Received
from streams.interest import fold, run_steps
from streams.messages import Recommendation
from streams.places import place_of
from streams.prepared import Prepared, applied_in
from streams.published import PublishedLists
from streams.recommendation_format import RecommendationFormat
from streams.recommending import compose
from streams.scenarios import Scenario
from streams.schema_registry import learn_schemas
from streams.serving import Serving
from streams.set_aside import tell_dead_letters
from streams.state import UserState
from streams.trending_board import TrendingBoard
from streams.user_states import UserStates

if TYPE_CHECKING:
    from streams.avro import AvroReader

log = logging.getLogger(__name__)

EVENT_TYPES = {"clicks": EventType.CLICK, "purchases": EventType.PURCHASE}
CONFLICT_ROUNDS = 10
Events = list[tuple[Received, Interaction]]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about input, history and recommendations."""

    limits: Limits
    bounds: Bounds
    scenarios: Mapping[str, Scenario]
    source_epoch: int = 0
    behaviours: Behaviours = Behaviours()  # noqa: RUF009 - immutable
    covisitation: CovisitationConfig | None = None
    """How events become evidence; ``None``: none is collected."""
    avro: AvroReader | None = None
    written: RecommendationFormat = RecommendationFormat()  # noqa: RUF009 - immutable


class InterestPipeline:
    """Micro-batches of ``clicks`` and ``purchases``, one at a time; blocking work runs in ``executor``."""

    def __init__(
        self,
        serving: Serving,
        states: UserStates,
        trending: TrendingBoard,
        policy: Policy,
        drift: DriftReporter | None = None,
    ) -> None:
        self._serving = serving
        self._metrics = serving.metrics
        self._states = states
        self._trending = trending
        self._policy = policy
        self._drift = drift
        self._published = PublishedLists(serving.metrics)
        self.lock = asyncio.Lock()
        """Held during a batch: the model changes between two."""

    async def process(self, messages: Sequence[Received]) -> None:
        """Carry a batch out; returns when all is durable and delivered. Safe to repeat after any fault.

        Raises ``StoreUnavailable`` or ``BrokerUnavailable`` when it should be repeated later.
        """
        async with self.lock:
            self._metrics.batch_events.observe(len(messages))
            await learn_schemas(self._serving, self._policy.avro, messages)
            with self._metrics.stage("decode"):
                by_user, refused = self._decode(messages)
            await self._serving.publish([dead_letter(one) for one in refused])
            if by_user:
                await self._refresh(by_user, publish_first=False)
            tell_dead_letters(refused, self._metrics)
            for one in refused:
                self._metrics.events.labels(one.received.topic, Outcome.DEAD_LETTERED).inc()
                tracing.note(one.received, Outcome.DEAD_LETTERED)

    async def release(self) -> None:
        """Apply the waiting events whose item has arrived and refuse those that waited too long."""
        async with self.lock:
            due = await self._serving.in_thread(self._due_users)
            if due:
                with self._serving.tracer.batch("waiting", []):
                    await self._refresh({user_id: [] for user_id in due}, publish_first=True)

    async def partitions_moved(self, partitions: Iterable[int]) -> dict[tuple[str, int], int]:
        """Forget what another worker may change now, and read what this one must know of its partitions.

        Returns the last counted offset of each (topic, partition).
        """
        async with self.lock:
            owned = set(partitions)
            await self._serving.in_thread(self._states.take_over, owned)
            return await self._serving.in_thread(self._trending.load, owned)

    async def flush(self) -> None:
        """Write the trending counts now."""
        async with self.lock:
            await self._serving.in_thread(lambda: self._trending.flush(self._serving.clock_ms(), force=True))

    async def _refresh(self, by_user: dict[str, Events], *, publish_first: bool) -> None:
        """Steps 2 to 5 for these users; those whose write lost to another worker go round again."""
        for _ in range(CONFLICT_ROUNDS):
            partitions = await self._evidence_partitions()
            prepared = await self._serving.in_thread(self._prepare, by_user, partitions)
            letters = [dead_letter(one) for each in prepared.folded for one in each.dead_letters]
            await self._serving.publish(letters + prepared.evidence)
            if publish_first:
                await self._announce(prepared, lost=set())
            lost = await self._serving.in_thread(self._commit, prepared)
            if not publish_first:
                await self._announce(prepared, lost)
            self._observe_freshness(prepared, lost)
            by_user = {user_id: events for user_id, events in by_user.items() if user_id in lost}
            if not by_user:
                return
            self._tell_conflicts(by_user)
        raise StoreUnavailable(f"{len(by_user)} users are written by another worker all the time")

    def _decode(self, messages: Sequence[Received]) -> tuple[dict[str, Events], list[DeadLetter]]:
        by_user: dict[str, Events] = {}
        refused = []
        now_ms = self._serving.clock_ms()
        for message in messages:
            event = self._read(message, now_ms)
            if isinstance(event, Rejected):
                refused.append(DeadLetter(message, event))
            else:
                by_user.setdefault(event.user_id, []).append((message, event))
        return by_user, refused

    def _read(self, message: Received, now_ms: int) -> Interaction | Rejected:
        kind, policy = EVENT_TYPES[message.topic], self._policy
        key, value, headers = message.key, message.value, message.headers
        return decode_interaction(kind, key, value, now_ms, policy.limits, headers, policy.avro)

    async def _evidence_partitions(self) -> int:
        return await self._serving.publisher.partitions("evidence") if self._policy.covisitation else 0

    def _prepare(self, by_user: dict[str, Events], partitions: int) -> Prepared:
        with self._metrics.stage("state"):
            users = self._states.load(list(by_user))
            self._serving.replica.ensure(_items_of(users, by_user.values()))
        context = self._context()
        folded = [fold(user, by_user[user.user_id], context) for user in users]
        with self._metrics.stage("encode"):
            run_steps(
                self._serving.model.step, users, [one.steps for one in folded], self._serving.replica.items
            )
        refreshed = [user for user, one in zip(users, folded, strict=True) if one.refreshed]
        evidence = self._evidence(folded, partitions)
        return Prepared(users, folded, *self._recommend(refreshed), evidence)

    def _evidence(self, folded: Iterable[Folded], partitions: int) -> list[Outgoing]:
        """What the applied events add to items, for the workers that own these."""
        config = self._policy.covisitation
        if config is None:
            return []
        with self._metrics.stage("pairs"):
            found = bundles(applied_in(folded), config, self._policy.source_epoch, partitions)
        return [Outgoing("evidence", None, value, partition=partition) for partition, value in found]

    def _context(self) -> FoldContext:
        now_ms = self._serving.clock_ms()
        return FoldContext(
            known=self._serving.replica.items.__contains__,
            decode=lambda message: self._read(message, now_ms),
            bounds=self._policy.bounds,
            now_ms=now_ms,
            epoch=self._policy.source_epoch,
            behaviours=self._policy.behaviours,
            window=self._policy.covisitation.window if self._policy.covisitation else 0,
        )

    def _recommend(self, users: Sequence[UserState]) -> tuple[list[Recommendation], list[Recommendation]]:
        """What is published for those of the users that have an applied event, and the shadow of it."""
        made: tuple[list[Recommendation], list[Recommendation]] = ([], [])
        with self._metrics.stage("recommend"):
            for scenario in self._policy.scenarios.values():
                due = [user for user in users if _answers(scenario, user)]
                now_ms, lists = self._serving.clock_ms(), lists_of(self._serving, scenario, due)
                for answers, all_lists in zip(made, lists, strict=True):
                    answers += [
                        compose(user, scenario, items, version, now_ms)
                        for user, (items, version) in zip(due, all_lists, strict=False)
                    ]
        return made

    def _commit(self, prepared: Prepared) -> set[str]:
        """Write the users that changed; returns those whose write lost."""
        changed = [user for user, one in zip(prepared.users, prepared.folded, strict=True) if one.changed]
        with self._metrics.stage("upsert"):
            lost = set(self._states.save(changed, self._serving.clock_ms()))
        for user, one in zip(prepared.users, prepared.folded, strict=True):
            if not one.changed:
                self._states.keep(user)
        # At once: what fails from here on is repeated, and finds these events applied already.
        self._account(prepared, lost)
        for one in prepared.won(lost):
            self._count_trending(one)
        self._trending.flush(self._serving.clock_ms())
        if self._drift is not None:
            self._drift.note(applied_in(prepared.won(lost)), prepared.compared(lost))
        return lost

    def _count_trending(self, folded: Folded) -> None:
        for one in folded.applied:
            event = one.event
            self._trending.count(one.received, event.item_id, event.event_type, event.timestamp_ms)

    async def _announce(self, prepared: Prepared, lost: set[str]) -> None:
        """Publish the recommendations of the users whose write won."""
        due = prepared.published(lost)
        with self._metrics.stage("publish"):
            messages = [self._policy.written.outgoing(one) for one in due]
            await self._serving.publish(tracing.following(messages, prepared.causes(due)))
        self._published.note(due)

    def _account(self, prepared: Prepared, lost: set[str]) -> None:
        won = list(prepared.won(lost))
        for received, outcome in (one for folded in won for one in folded.outcomes):
            self._metrics.events.labels(received.topic, outcome).inc()
            if outcome is not Outcome.APPLIED:
                self._tell(received, outcome)
        tell_dead_letters([letter for folded in won for letter in folded.dead_letters], self._metrics)
        self._metrics.conflicts.inc(len(lost))
        self._metrics.cached_users.set(len(self._states))
        self._metrics.waiting.set(self._states.waiting_count)

    def _tell(self, received: Received, outcome: Outcome) -> None:
        tracing.note(received, outcome)
        log.debug("%s", outcome, extra=place_of(received))

    def _tell_conflicts(self, by_user: dict[str, Events]) -> None:
        log.info("another worker wrote %d users meanwhile: their events are folded again", len(by_user))
        if log.isEnabledFor(logging.DEBUG):
            for received, _ in (one for events in by_user.values() for one in events):
                log.debug("conflict", extra=place_of(received))

    def _observe_freshness(self, prepared: Prepared, lost: set[str]) -> None:
        now_ms = self._serving.clock_ms()
        for folded in prepared.won(lost):
            for one in folded.applied:
                self._metrics.freshness.observe(max(0, now_ms - one.received.timestamp_ms) / 1000)

    def _due_users(self) -> list[str]:
        self._serving.replica.ensure(self._states.waiting_items())
        return self._states.due(self._serving.replica.items.__contains__, self._serving.clock_ms())


def _answers(scenario: Scenario, user: UserState) -> bool:
    """Whether the scenario is published after the user's latest event."""
    events = user.history.events
    return bool(events) and EventType(events[-1].event_type) in scenario.publish_after


def _items_of(users: Sequence[UserState], events: Iterable[Events]) -> set[str]:
    """Every item that this batch asks about."""
    items = {event.item_id for each in events for _, event in each}
    return items | {one.item_id for user in users for one in user.history.waiting}
