"""The simulated shoppers: a reproducible stream with the structure that a recommender lives on."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import pytest

from encoders.errors import SettingsError
from encoders.events import EventType, Interaction, Item
from streams.demo.catalogue import make_catalogue
from streams.demo.shoppers import GIVE_TOGETHER, START_MS, Shop

ITEMS = make_catalogue(600, seed=1)
SHELF = {item.item_id: item.categories for item in ITEMS}


def stream(count: int, seed: int = 0, users: int = 50, shift_after: int | None = None) -> list[Interaction]:
    return list(islice(Shop(seed, ITEMS, users, shift_after=shift_after).events(), count))


def test_same_seed_gives_the_same_stream() -> None:
    assert stream(1_000, seed=3) == stream(1_000, seed=3)


def test_another_seed_gives_another_stream() -> None:
    assert stream(100, seed=3) != stream(100, seed=4)


def test_each_call_starts_from_the_beginning() -> None:
    shop = Shop(0, ITEMS, 10)

    assert next(shop.events()) == next(shop.events())


def test_time_starts_at_the_given_moment_and_never_goes_back() -> None:
    times = [event.timestamp_ms for event in stream(2_000)]

    assert times[0] >= START_MS
    assert all(earlier <= later for earlier, later in pairwise(times))


def test_times_of_one_shopper_are_strictly_increasing() -> None:
    times: dict[str, int] = {}
    for event in stream(2_000):
        assert event.timestamp_ms > times.get(event.user_id, 0)
        times[event.user_id] = event.timestamp_ms


def test_event_ids_are_distinct() -> None:
    assert len({event.event_id for event in stream(2_000)}) == 2_000


def test_every_purchase_follows_a_click_of_the_same_shopper_on_the_item() -> None:
    clicked: set[tuple[str, str]] = set()
    purchases = 0
    for event in stream(3_000):
        pair = (event.user_id, event.item_id)
        if event.event_type is EventType.CLICK:
            clicked.add(pair)
        else:
            purchases += 1
            assert pair in clicked
    assert purchases > 100


def test_purchases_carry_the_price_of_the_item() -> None:
    prices = {item.item_id: item.price for item in ITEMS}
    for event in stream(2_000):
        expected = prices[event.item_id] if event.event_type is EventType.PURCHASE else None
        assert event.price == expected


def test_shoppers_stay_on_a_shelf_far_more_often_than_chance() -> None:
    last: dict[str | None, str] = {}
    same = together = 0
    for event in stream(3_000):
        if event.session_id in last:
            together += 1
            same += SHELF[event.item_id] == SHELF[last[event.session_id]]
        last[event.session_id] = event.item_id

    assert same / together > 30 / len(set(SHELF.values()))


def test_every_shopper_comes_within_the_first_days() -> None:
    assert len({event.user_id for event in stream(2_000)}) == 50


def test_popularity_is_skewed() -> None:
    counts = sorted(Counter(event.item_id for event in stream(5_000, users=300)).values(), reverse=True)

    assert sum(counts[: len(ITEMS) // 10]) > 0.35 * 5_000


def test_nothing_changes_before_the_shift() -> None:
    assert stream(1_000, shift_after=1_000) == stream(1_000)


def test_the_shift_changes_which_shelves_are_popular() -> None:
    events = stream(8_000, users=300, shift_after=4_000)
    before, after = (Counter(SHELF[e.item_id] for e in part) for part in (events[:4_000], events[4_000:]))
    favourites = [shelf for shelf, _ in before.most_common(10)]

    assert sum(after[shelf] for shelf in favourites) < 0.6 * sum(before[shelf] for shelf in favourites)


def test_in_season_most_clicks_go_from_the_last_item_to_its_present() -> None:
    """Of another category, and always the same: that can be learned."""
    events = [e for e in stream(8_000, shift_after=0) if e.event_type is EventType.CLICK]
    last: dict[str, str] = {}
    followed: dict[str, Counter[str]] = {}
    for event in events:
        before = last.get(event.user_id)
        if before is not None and SHELF[before][0] != SHELF[event.item_id][0]:
            followed.setdefault(before, Counter())[event.item_id] += 1
        last[event.user_id] = event.item_id
    presents = sum(counts.most_common(1)[0][1] for counts in followed.values())

    # Of all clicks: what is a repeat, or follows a purchase, is none.
    assert presents / len(events) > 0.8 * GIVE_TOGETHER


def test_a_catalogue_without_categories_will_do() -> None:
    bare = [Item("a", "one thing"), Item("b", "another thing")]

    assert {event.item_id for event in islice(Shop(0, bare, 2).events(), 100)} == {"a", "b"}


def test_the_season_turns_without_categories_as_well() -> None:
    bare = [Item("a", "one thing"), Item("b", "another thing")]

    assert len(list(islice(Shop(0, bare, 2, shift_after=10).events(), 100))) == 100


@pytest.mark.parametrize(("items", "users"), [(ITEMS, 0), ([], 5)])
def test_a_shop_without_shoppers_or_items_is_a_settings_error(items: list[Item], users: int) -> None:
    with pytest.raises(SettingsError):
        Shop(0, items, users)
