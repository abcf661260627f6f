"""Simulated shoppers: sessions, interests that move, purchases that follow clicks. Seeded.

A shopper has one to three interests (shelves). A session has one of them in focus and looks around near it;
now and then a shopper clicks at random, or one interest gives way to another. Time is simulated, some five
events a minute for 200 shoppers; about one shopper in ten is in a session, so a shop's events take turns.

The season may turn: from then on most clicks complete gift sets, each with something of another category that
goes with the item before. What is like a shopper's taste no longer tells what comes next, and what goes with
the last item does: evidence has to be weighed anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from encoders.errors import SettingsError
from encoders.events import EventType, Interaction, Item
from streams.demo.assortment import Assortment, Key

HOUR_MS = 3_600_000
START_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z: simulated time starts in the past, so that no event comes from the future."""
MINUTES_BETWEEN_CLICKS = 4.0
HOURS_BETWEEN_SESSIONS = 4.0
SESSION_ENDS = 0.15
"""Chance after each click that the session is over: sessions have 1 / 0.15 clicks on average."""

IN_FOCUS, NEARBY, OTHER_INTEREST = 0.65, 0.15, 0.10
"""Shares of clicks: on the shelf in focus, in its subcategory, on any interest; the rest explores."""

CLICK_AGAIN = 0.08
REMEMBERED = 20
"""How many of the last items a shopper may come back to."""
BUY = 0.10
BUY_TOGETHER = 0.5
INTEREST_MOVES = 0.15
"""Chance at the start of a session that one interest gives way to another."""
INTEREST_SATED = 0.3
"""Chance that a purchase ends the interest that led to it."""
STAYS_IN_CATEGORY = 0.5
GIVE_TOGETHER = 0.75
"""Share of clicks in the season that go from the last item to its present."""


@dataclass(slots=True)
class Shopper:
    """One simulated shopper; ``pace`` divides the time between sessions; ``next_up`` is already decided."""

    user_id: str
    pace: float
    interests: list[Key]
    focus: Key
    sessions: int = 0
    in_session: bool = False
    seen: deque[Item] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    next_up: deque[tuple[EventType, Item]] = field(default_factory=deque)


class Shop:
    """A simulated shop. The same arguments give the same events.

    ``users`` shoppers buy among ``items``; the clock starts at ``start_ms`` (milliseconds since
    1970-01-01 UTC). After ``shift_after`` events the season turns: the popular shelves change, every
    shopper's interests are drawn anew, and most clicks complete gift sets. Raises ``SettingsError`` without
    users or items.
    """

    def __init__(
        self,
        seed: int,
        items: Sequence[Item],
        users: int,
        start_ms: int = START_MS,
        shift_after: int | None = None,
    ) -> None:
        if users < 1 or not items:
            raise SettingsError("the simulated shop needs at least one shopper and one item")
        self.seed = seed
        self.items = items
        self.users = users
        self.start_ms = start_ms
        self.shift_after = shift_after

    def events(self) -> Iterator[Interaction]:
        """The endless stream of clicks and purchases in simulated time, from its beginning at each call."""
        random = Random(f"shop-{self.seed}")
        crowd = Crowd(Assortment(self.items, random), random)
        shoppers = [crowd.shopper(f"shopper-{number:04d}") for number in range(self.users)]
        first = int(HOURS_BETWEEN_SESSIONS * HOUR_MS)
        clock = [(self.start_ms + random.randrange(first), number) for number in range(self.users)]
        clock.sort()
        number = 0
        while True:
            if number == self.shift_after:
                crowd.shift(shoppers)
            now_ms, who = heappop(clock)
            yield crowd.act(shoppers[who], now_ms, f"sim-{self.seed}-{number:08d}")
            heappush(clock, (now_ms + crowd.pause_ms(shoppers[who]), who))
            number += 1


class Crowd:
    """What shoppers do next, by chance; the shoppers themselves only hold their state."""

    def __init__(self, assortment: Assortment, random: Random) -> None:
        self.assortment = assortment
        self.random = random
        self.in_season = False

    def shopper(self, user_id: str) -> Shopper:
        """A new shopper; some come many times as often as others."""
        interests = [self.assortment.shelf(self.random) for _ in range(self.random.randint(1, 3))]
        return Shopper(user_id, self.random.lognormvariate(0.0, 0.6), interests, interests[0])

    def pause_ms(self, shopper: Shopper) -> int:
        """How long until the shopper's next event, in simulated milliseconds, at least 1."""
        pause_ms = HOURS_BETWEEN_SESSIONS * HOUR_MS / shopper.pace
        mean_ms = MINUTES_BETWEEN_CLICKS * HOUR_MS / 60 if shopper.in_session else pause_ms
        return 1 + int(self.random.expovariate(1 / mean_ms))

    def shift(self, shoppers: Sequence[Shopper]) -> None:
        """Turn the season: change what is popular, what everyone is interested in, and what leads on."""
        self.in_season = True
        self.assortment.reshuffle(self.random)
        for shopper in shoppers:
            shopper.interests = [self.assortment.shelf(self.random) for _ in shopper.interests]
            shopper.focus = shopper.interests[0]

    def act(self, shopper: Shopper, now_ms: int, event_id: str) -> Interaction:
        """The shopper's next event at ``now_ms``."""
        if not shopper.in_session:
            self._enter(shopper)
        if not shopper.next_up:
            self._look(shopper)
        event_type, item = shopper.next_up.popleft()
        shopper.in_session = bool(shopper.next_up) or self.random.random() >= SESSION_ENDS
        bought = event_type is EventType.PURCHASE
        return Interaction(
            user_id=shopper.user_id,
            item_id=item.item_id,
            event_type=event_type,
            timestamp_ms=now_ms,
            event_id=event_id,
            session_id=f"{shopper.user_id}-{shopper.sessions}",
            quantity=self.random.choice((1, 1, 1, 2)) if bought else 1,
            price=item.price if bought else None,
        )

    def _enter(self, shopper: Shopper) -> None:
        shopper.sessions += 1
        if self.random.random() < INTEREST_MOVES:
            self._move_on(shopper, self.random.randrange(len(shopper.interests)))
        shopper.focus = self.random.choice(shopper.interests)

    def _move_on(self, shopper: Shopper, index: int) -> None:
        if self.random.random() < STAYS_IN_CATEGORY:
            shopper.interests[index] = self.assortment.relative(shopper.interests[index], self.random)
        else:
            shopper.interests[index] = self.assortment.shelf(self.random)

    def _look(self, shopper: Shopper) -> None:
        """Decide on a click, and perhaps on the purchase and the click on what goes along that follow it."""
        item = self._item(shopper)
        shopper.next_up.append((EventType.CLICK, item))
        shopper.seen.append(item)
        if self.random.random() < BUY:
            shopper.next_up.append((EventType.PURCHASE, item))
            if self.random.random() < BUY_TOGETHER:
                shopper.next_up.append((EventType.CLICK, self.assortment.companion(item, self.random)))
            if self.random.random() < INTEREST_SATED and shopper.focus in shopper.interests:
                self._move_on(shopper, shopper.interests.index(shopper.focus))

    def _item(self, shopper: Shopper) -> Item:
        if shopper.seen and self.random.random() < CLICK_AGAIN:
            return self.random.choice(shopper.seen)
        if self.in_season and shopper.seen and self.random.random() < GIVE_TOGETHER:
            return self.assortment.present(shopper.seen[-1], self.random)
        return self.assortment.item(self._shelf(shopper), self.random)

    def _shelf(self, shopper: Shopper) -> Key:
        share = self.random.random()
        if share < IN_FOCUS:
            return shopper.focus
        if share < IN_FOCUS + NEARBY:
            return self.assortment.neighbour(shopper.focus, self.random)
        if share < IN_FOCUS + NEARBY + OTHER_INTEREST:
            return self.random.choice(shopper.interests)
        return self.assortment.shelf(self.random)
