"""What is recommended and what never is, on a worker of fakes: sources, rules, reasons, exploration."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from encoders.candidates import CandidateCounts
from encoders.covisitation import CovisitationConfig
from encoders.events import EventType
from encoders.features import FEATURES, Floats
from encoders.runtime import ServingModel
from exporters.model_store import load_model
from exporters.vector_store import ItemFilter
from streams.fold_types import Received
from streams.list_maker import Query
from streams.lookup import recommend as look_up
from streams.messages import RecommendedItem
from streams.recommender import Recommender, Stages
from streams.rules import DAY_MS, parse_filters
from streams.scenarios import Scenario, Source, narrowed
from streams.state import Applied
from tests.fakes.kafka_messages import NOW_MS, click, event, item, message, purchase
from tests.fakes.wired_worker import NEAREST, POLICY, WiredWorker

COLLECTING = replace(POLICY, covisitation=CovisitationConfig())
TWO_STAGES = Stages(CandidateCounts(dense=100, covisited=100, trending=20, new=20))
CATEGORIES, BRANDS = ("Tools", "Toys", "Food"), ("Acme", "Bolt", "Cozy", "Dawn")
ALL = Scenario(k=40)


@dataclass(frozen=True)
class Thing:
    """An item of the shop, as a test reads it."""

    number: int

    @property
    def item_id(self) -> str:
        return f"i{self.number:02d}"

    @property
    def price(self) -> float:
        return 1.0 + self.number

    @property
    def categories(self) -> tuple[str, str]:
        return "Home" if self.number % 2 else "Garden", CATEGORIES[self.number % 3]

    @property
    def brand(self) -> str:
        return BRANDS[self.number % 4]

    @property
    def age_days(self) -> int:
        return self.number

    def arrived(self, offset: int) -> Received:
        return item(
            self.item_id,
            offset,
            price=self.price,
            categories=self.categories,
            brand=self.brand,
            created_at=NOW_MS - self.age_days * DAY_MS,
        )


SHOP = [Thing(number) for number in range(40)]
THINGS = {thing.item_id: thing for thing in SHOP}
VISITED = ("i01", "i02", "i03", "i30", "i31")


async def open_shop(worker: WiredWorker) -> None:
    """Forty items, and three users who turned to some of them."""
    await worker.catalog.process([thing.arrived(thing.number) for thing in SHOP])
    events = [click(f"u{n % 3}", one, n) for n, one in enumerate(VISITED * 3)]
    await worker.interest.process(events)
    await worker.interest.flush()
    await merge(worker)
    worker.log.clear()


async def merge(worker: WiredWorker) -> None:
    """Let the evidence agent read all that was sent."""
    sent = worker.publisher.on("evidence")
    await worker.evidence.process(
        [Received("evidence", one.partition or 0, n, None, one.value, NOW_MS) for n, one in enumerate(sent)]
    )


def opened(stages: Stages = TWO_STAGES, *, shared: bool = False) -> WiredWorker:
    made = WiredWorker(None, COLLECTING, stages)
    made.store.shared = shared
    asyncio.run(open_shop(made))
    return made


@pytest.fixture
def worker() -> Iterator[WiredWorker]:
    made = opened()
    yield made
    made.close()


@pytest.fixture(params=["replica", "store", "nearest"])
def any_worker(request: pytest.FixtureRequest) -> Iterator[WiredWorker]:
    """Two stages over the replica, over a store that others write to, and nearest items alone."""
    made = opened(NEAREST if request.param == "nearest" else TWO_STAGES, shared=request.param == "store")
    yield made
    made.close()


def visitor(worker: WiredWorker, *item_ids: str, hidden: set[str] | None = None, seed: str = "") -> Query:
    """Somebody who clicked on these items just now, which are hidden unless told otherwise."""
    events = [Applied(one, int(EventType.CLICK), NOW_MS) for one in item_ids]
    interest = worker.replica.items[item_ids[-1]]
    return Query(interest, events, set(item_ids) if hidden is None else hidden, NOW_MS, seed)


STRANGER = Query(np.zeros(0, np.float32), [], set(), at_ms=0)


def ask(worker: WiredWorker, scenario: Scenario, query: Query) -> list[RecommendedItem]:
    return worker.serving.recommender.recommend(scenario, [query])[0]


def ids(found: list[RecommendedItem]) -> list[str]:
    return [one.item_id for one in found]


class TestWhatIsNeverShown:
    """Whatever the source and the way the candidates were found."""

    async def test_hidden_items(self, any_worker: WiredWorker) -> None:
        hidden = {"i01", "i02", "i30", "i05"}
        assert hidden.isdisjoint(ids(ask(any_worker, ALL, visitor(any_worker, "i01", hidden=hidden))))

    async def test_items_that_were_hidden_come_back(self, any_worker: WiredWorker) -> None:
        assert set(ids(ask(any_worker, ALL, visitor(any_worker, "i01", hidden=set())))) == set(THINGS)

    @pytest.mark.parametrize("gone", ["delisted", "unavailable"])
    @pytest.mark.parametrize("source", ["interest", "covisited", "trending", "new"])
    async def test_items_that_are_gone(self, any_worker: WiredWorker, source: Source, gone: str) -> None:
        await away(any_worker, gone, "i00", "i02", "i30")
        found = ids(ask(any_worker, replace(ALL, sources=(source,)), visitor(any_worker, "i01")))
        assert found
        assert {"i00", "i02", "i30"}.isdisjoint(found)

    @pytest.mark.parametrize("gone", ["delisted", "unavailable"])
    async def test_items_that_are_gone_to_a_stranger(self, any_worker: WiredWorker, gone: str) -> None:
        await away(any_worker, gone, "i02", "i30")
        assert set(ids(ask(any_worker, ALL, STRANGER))) == set(VISITED) - {"i02", "i30"}

    async def test_an_item_twice(self, any_worker: WiredWorker) -> None:
        scenario = replace(ALL, exploration=0.5)
        assert max(Counter(ids(ask(any_worker, scenario, visitor(any_worker, "i01", "i02")))).values()) == 1

    async def test_more_than_k_items(self, any_worker: WiredWorker) -> None:
        for k in (1, 7):
            assert len(ask(any_worker, replace(ALL, k=k), visitor(any_worker, "i01"))) == k


async def away(worker: WiredWorker, how: str, *item_ids: str) -> None:
    messages = [
        message("items", one.encode(), None, 1_000 + n)
        if how == "delisted"
        else item(one, 1_000 + n, available=False)
        for n, one in enumerate(item_ids)
    ]
    await worker.catalog.process(messages)


async def test_what_was_trending_a_moment_ago_is_not_shown_when_it_is_gone(worker: WiredWorker) -> None:
    model = cast(ServingModel, worker.model)
    recommender = Recommender(worker.store, worker.names, model, worker.replica, TWO_STAGES, 3_600.0)
    before = ids(recommender.recommend(ALL, [STRANGER])[0])
    await away(worker, "delisted", "i30")
    after = ids(recommender.recommend(ALL, [STRANGER])[0])
    assert set(before) - set(after) == {"i30"}


async def test_a_catalogue_of_which_nothing_is_for_sale_gives_an_empty_list(worker: WiredWorker) -> None:
    await away(worker, "delisted", *THINGS)
    for sources in (ALL.sources, ("new",), ("covisited",), ("interest",)):
        assert ask(worker, replace(ALL, sources=sources), visitor(worker, "i01")) == []


RULES: dict[str, tuple[str, Callable[[Thing], bool]]] = {
    "price up to": ("price<=20", lambda thing: thing.price <= 20),
    "price from": ("price>=20", lambda thing: thing.price >= 20),
    "a category": ("category=Toys", lambda thing: "Toys" in thing.categories),
    "a wide category": ("category=Home", lambda thing: "Home" in thing.categories),
    "not a category": ("category!=Toys", lambda thing: "Toys" not in thing.categories),
    "a brand": ("brand=Acme", lambda thing: thing.brand == "Acme"),
    "not a brand": ("brand!=Acme", lambda thing: thing.brand != "Acme"),
    "age": ("age_days<=10", lambda thing: thing.age_days <= 10),
}


class TestRules:
    """What a scenario or a request asks of items holds for the whole list, whatever the source."""

    @pytest.mark.parametrize("name", RULES)
    async def test_all_that_passes_is_found_and_nothing_else(
        self, any_worker: WiredWorker, name: str
    ) -> None:
        text, passes = RULES[name]
        scenario = narrowed(ALL, parse_filters([text]))
        expected = {thing.item_id for thing in SHOP if passes(thing)} - {"i01"}
        assert set(ids(ask(any_worker, scenario, visitor(any_worker, "i01")))) == expected

    @pytest.mark.parametrize("source", ["interest", "covisited", "trending", "new"])
    @pytest.mark.parametrize("name", RULES)
    async def test_every_source_keeps_to_them(self, worker: WiredWorker, name: str, source: Source) -> None:
        text, passes = RULES[name]
        scenario = narrowed(replace(ALL, sources=(source,)), parse_filters([text]))
        found = ids(ask(worker, scenario, visitor(worker, "i01")))
        assert all(passes(THINGS[one]) for one in found)

    @pytest.mark.parametrize("name", [name for name in RULES if name != "age"])
    async def test_what_a_stranger_is_shown_keeps_to_them(self, any_worker: WiredWorker, name: str) -> None:
        text, passes = RULES[name]
        found = ids(ask(any_worker, narrowed(ALL, parse_filters([text])), STRANGER))
        assert set(found) == {one for one in VISITED if passes(THINGS[one])}

    async def test_a_category_of_the_scenario_and_one_of_the_request_must_both_be_met(
        self, any_worker: WiredWorker
    ) -> None:
        scenario = narrowed(
            replace(ALL, filter=ItemFilter(any_category=("Home",))), parse_filters(["category=Toys"])
        )
        expected = {thing.item_id for thing in SHOP if set(thing.categories) == {"Home", "Toys"}}
        assert set(ids(ask(any_worker, scenario, visitor(any_worker, "i01")))) == expected - {"i01"}

    async def test_a_price_band_is_around_what_the_user_looked_at(self, any_worker: WiredWorker) -> None:
        scenario = replace(ALL, price_band=(0.5, 2.0))
        found = ids(ask(any_worker, scenario, visitor(any_worker, "i03", "i15")))  # prices 4 and 16: usual 8
        assert sorted(THINGS[one].price for one in found) == [n for n in range(4, 17) if n not in (4, 16)]

    async def test_rules_that_nothing_passes_give_an_empty_list(self, any_worker: WiredWorker) -> None:
        scenario = narrowed(
            replace(ALL, filter=ItemFilter(any_brand=("Acme",))), parse_filters(["brand=Bolt"])
        )
        assert ask(any_worker, scenario, visitor(any_worker, "i01")) == []


class TestCaps:
    """At most so many of a category or a brand, and no fewer than there could be."""

    @pytest.mark.parametrize("who", ["visitor", "stranger"])
    @pytest.mark.parametrize("exploration", [0.0, 0.5])
    async def test_of_a_category(self, any_worker: WiredWorker, who: str, exploration: float) -> None:
        scenario = replace(ALL, k=10, max_per_category=1, exploration=exploration)
        found = ask(any_worker, scenario, STRANGER if who == "stranger" else visitor(any_worker, "i01"))
        narrowest = [THINGS[one].categories[-1] for one in ids(found)]
        assert sorted(narrowest) == sorted(set(narrowest)) == sorted(CATEGORIES)

    @pytest.mark.parametrize("exploration", [0.0, 0.5])
    async def test_of_a_brand(self, any_worker: WiredWorker, exploration: float) -> None:
        scenario = replace(ALL, k=8, max_per_brand=2, exploration=exploration)
        brands = Counter(
            THINGS[one].brand for one in ids(ask(any_worker, scenario, visitor(any_worker, "i01")))
        )
        assert brands == dict.fromkeys(BRANDS, 2)

    async def test_of_both(self, worker: WiredWorker) -> None:
        scenario = replace(ALL, k=10, max_per_category=2, max_per_brand=1)
        found = [THINGS[one] for one in ids(ask(worker, scenario, visitor(worker, "i01")))]
        assert len(found) == len({thing.brand for thing in found}) == 4
        assert max(Counter(thing.categories[-1] for thing in found).values()) <= 2

    async def test_leave_no_place_empty_that_another_group_could_have(self, worker: WiredWorker) -> None:
        scenario = replace(ALL, k=4, max_per_brand=1)
        assert [len(ask(worker, scenario, visitor(worker, one))) for one in THINGS] == [4] * len(THINGS)

    async def test_items_without_a_brand_are_not_held_back(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item(f"plain{n}", 100 + n) for n in range(3)])
        found = ids(ask(worker, replace(ALL, k=40, max_per_brand=1), visitor(worker, "i01")))
        assert {"plain0", "plain1", "plain2"} <= set(found)


async def test_diversity_pushes_a_lookalike_down(worker: WiredWorker) -> None:
    """Two items of one text have one vector, and stand side by side unless they are kept apart."""
    nearest = replace(ALL, sources=("interest",))
    near = next(one for one in ids(ask(worker, nearest, visitor(worker, "i20"))) if one not in VISITED)
    await worker.catalog.process(
        [item("twin", 100, title=f"Title of {near}", categories=THINGS[near].categories)]
    )

    def distance(scenario: Scenario) -> int:
        found = ids(ask(worker, scenario, visitor(worker, "i20")))
        return abs(found.index("twin") - found.index(near))

    assert distance(nearest) == 1
    assert distance(replace(nearest, diversity=0.7)) > 5


class TestExploration:
    """A share of the list for new items."""

    SCENARIO = Scenario(k=10, exploration=0.3)

    async def test_new_items_are_in_the_lower_half_and_say_so(self, worker: WiredWorker) -> None:
        found = ask(worker, self.SCENARIO, visitor(worker, "i35"))
        explored = [place for place, one in enumerate(found) if one.reason.kind == "explored"]
        assert len(explored) == 3
        assert min(explored) >= 5
        assert all(THINGS[found[place].item_id].age_days < 30 for place in explored)

    async def test_the_others_keep_their_order(self, worker: WiredWorker) -> None:
        plain = ids(ask(worker, replace(self.SCENARIO, exploration=0.0), visitor(worker, "i35")))
        found = ask(worker, self.SCENARIO, visitor(worker, "i35"))
        assert [one.item_id for one in found if one.reason.kind != "explored"] == plain[:7]

    async def test_a_repeat_says_the_same_and_another_list_something_else(self, worker: WiredWorker) -> None:
        lists = [ids(ask(worker, self.SCENARIO, visitor(worker, "i35", seed=str(n // 2)))) for n in range(12)]
        assert lists[::2] == lists[1::2]
        assert len({tuple(one) for one in lists}) > 1

    async def test_another_worker_says_the_same(self, worker: WiredWorker) -> None:
        """The heir read the items in another order, so its rows are others."""
        heir = WiredWorker(worker.store, COLLECTING, TWO_STAGES)
        heir.replica.ensure(["i39", "i17"])
        heir.replica.refresh()
        for seed in "abcdef":
            query = visitor(worker, "i35", seed=seed)
            assert ids(ask(heir, self.SCENARIO, query)) == ids(ask(worker, self.SCENARIO, query))
        heir.close()

    async def test_rules_hold_for_what_is_explored(self, worker: WiredWorker) -> None:
        scenario = narrowed(self.SCENARIO, parse_filters(["category=Toys"]))
        found = ask(worker, scenario, visitor(worker, "i35"))
        assert any(one.reason.kind == "explored" for one in found)
        assert all("Toys" in THINGS[one.item_id].categories for one in found)


class TestBasis:
    """Which events a list rests on."""

    async def test_the_last_event_alone(self, worker: WiredWorker) -> None:
        scenario = replace(ALL, basis="last", sources=("interest",), hide_seen_ms=0)
        found = ask(worker, scenario, visitor(worker, "i05", "i30", "i20", hidden={"i20"}))
        alone = ask(worker, scenario, visitor(worker, "i20"))
        assert found == alone

    async def test_the_last_purchase_alone(self, worker: WiredWorker) -> None:
        bought = Applied("i20", int(EventType.PURCHASE), NOW_MS)
        query = visitor(worker, "i05", "i30", hidden={"i20"})
        query = replace(query, events=[query.events[0], bought, query.events[1]])
        scenario = replace(ALL, basis="purchase", sources=("interest",))
        assert ask(worker, scenario, query) == ask(worker, scenario, replace(query, events=[bought]))
        assert ids(ask(worker, scenario, query)) == ids(
            ask(worker, replace(scenario, basis="history"), visitor(worker, "i20"))
        )

    async def test_without_a_purchase_it_is_what_trends(self, any_worker: WiredWorker) -> None:
        found = ask(any_worker, replace(ALL, basis="purchase"), visitor(any_worker, "i05"))
        assert {one.reason.kind for one in found} == {"trending"}
        assert set(ids(found)) == set(VISITED)

    @pytest.mark.parametrize(("kind", "strength"), [(EventType.DISLIKE, 0), (EventType.RATING, -50)])
    async def test_what_was_disliked_is_no_basis(
        self, any_worker: WiredWorker, kind: EventType, strength: int
    ) -> None:
        disliked = Applied("i05", int(kind), NOW_MS, strength)
        query = replace(visitor(any_worker, "i05"), events=[disliked])
        assert {one.reason.kind for one in ask(any_worker, ALL, query)} == {"trending"}


class TestSources:
    """Where candidates come from."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("interest", set(THINGS) - {"i01"}),
            ("covisited", set(VISITED) - {"i01"}),
            ("trending", set(VISITED) - {"i01"}),
            ("new", {f"i{n:02d}" for n in range(20)} - {"i01"}),
        ],
    )
    async def test_each_gives_its_own(self, worker: WiredWorker, source: Source, expected: set[str]) -> None:
        assert set(ids(ask(worker, replace(ALL, sources=(source,)), visitor(worker, "i01")))) == expected

    async def test_what_is_gone_takes_no_candidates_place(self, worker: WiredWorker) -> None:
        await away(worker, "delisted", *(f"i{n:02d}" for n in range(20)))
        new = ids(ask(worker, replace(ALL, sources=("new",)), visitor(worker, "i01")))
        assert set(new) == {f"i{n:02d}" for n in range(20, 40)}

    def test_the_nearest_are_the_nearest_of_those_for_sale(self) -> None:
        worker = opened(Stages(CandidateCounts(dense=3, covisited=100, trending=20, new=20)))
        scenario = Scenario(k=3, sources=("interest",))
        everything = ids(ask(worker, replace(scenario, k=40), visitor(worker, "i20")))
        asyncio.run(away(worker, "delisted", *everything[:10]))
        assert ids(ask(worker, scenario, visitor(worker, "i20"))) == everything[10:13]
        worker.close()

    async def test_two_are_joined(self, worker: WiredWorker) -> None:
        found = ids(ask(worker, replace(ALL, sources=("covisited", "new")), visitor(worker, "i01")))
        assert set(found) == (set(VISITED) | {f"i{n:02d}" for n in range(20)}) - {"i01"}

    def test_more_may_be_asked_for_than_the_nearest_candidates(self) -> None:
        worker = opened(Stages(CandidateCounts(dense=3, covisited=100, trending=20, new=20)))
        found = ask(worker, Scenario(k=30, sources=("interest",)), visitor(worker, "i01"))
        assert len(found) == 30
        worker.close()


async def test_a_stranger_gets_what_trends_the_strongest_first(any_worker: WiredWorker) -> None:
    await any_worker.interest.process([click("fan", "i30", 100), purchase("fan", "i30", 0)])
    await any_worker.interest.flush()
    found = ask(any_worker, replace(ALL, k=3), STRANGER)
    assert found[0].item_id == "i30"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(found) == 3


async def test_a_shared_store_gives_the_same_list_as_the_replica(worker: WiredWorker) -> None:
    query = visitor(worker, "i01", "i20")
    for scenario in (ALL, replace(ALL, k=5, sources=("interest",)), replace(ALL, exploration=0.2)):
        worker.store.shared = False
        alone = ask(worker, scenario, query)
        assert "nearest_items" not in worker.log
        worker.store.shared = True
        assert ask(worker, scenario, query) == alone
        assert worker.log.count("nearest_items") == 1
        worker.log.clear()


async def test_a_list_is_the_same_alone_and_among_a_hundred_others(any_worker: WiredWorker) -> None:
    queries = [visitor(any_worker, f"i{n % 40:02d}", f"i{n * 7 % 40:02d}", seed=str(n)) for n in range(101)]
    scenario = Scenario(k=10, exploration=0.2, max_per_brand=4)
    among = any_worker.serving.recommender.recommend(scenario, queries)
    for place in (0, 50, 63, 64, 100):
        assert ids(ask(any_worker, scenario, queries[place])) == ids(among[place])


async def test_the_shipped_ranker_scores_a_list_the_same_alone_and_among_others(
    worker: WiredWorker, untrained_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.model, "rank", load_model(untrained_model).rank)
    queries = [visitor(worker, f"i{n % 40:02d}", f"i{n * 7 % 40:02d}") for n in range(101)]
    among = worker.serving.recommender.recommend(ALL, queries)
    for place in (0, 63, 64, 100):
        alone = {one.item_id: one.score for one in ask(worker, ALL, queries[place])}
        assert {one.item_id: one.score for one in among[place]} == pytest.approx(alone, rel=1e-3, abs=1e-3)


async def test_strangers_and_visitors_may_be_asked_for_together(worker: WiredWorker) -> None:
    both = worker.serving.recommender.recommend(ALL, [STRANGER, visitor(worker, "i01"), STRANGER])
    assert both == [ask(worker, ALL, one) for one in (STRANGER, visitor(worker, "i01"), STRANGER)]


class TestReasons:
    """What is told is what the score rests on."""

    @pytest.mark.parametrize(
        ("feature", "kind"),
        [("last", "similar_to"), ("covisited_last", "together_with"), ("age", "new"), ("category", "taste")],
    )
    async def test_a_ranker_that_looks_at_one_thing_alone_is_told(
        self, worker: WiredWorker, monkeypatch: pytest.MonkeyPatch, feature: str, kind: str
    ) -> None:
        def rank(features: Floats) -> Floats:
            return features[:, :, FEATURES.index(feature)]

        monkeypatch.setattr(worker.model, "rank", rank)
        found = ask(worker, replace(ALL, k=3), visitor(worker, "i01"))
        assert found[0].reason.kind == kind
        assert found[0].reason.item_id == ("i01" if kind in ("similar_to", "together_with") else None)

    async def test_a_ranker_that_looks_at_the_last_event_sees_the_last_event(
        self, worker: WiredWorker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker.model, "rank", lambda features: features[:, :, FEATURES.index("last")])
        table = worker.replica.items
        found = ids(ask(worker, ALL, visitor(worker, "i07", "i20")))
        nearness = [float(table[one] @ table["i20"]) for one in found]
        assert nearness == pytest.approx(sorted(nearness, reverse=True))

    async def test_the_named_item_is_the_one_others_turned_to_as_well(self, worker: WiredWorker) -> None:
        await worker.interest.process(
            [event("purchases", "pair", one, n, partition=1) for n, one in enumerate(("i20", "i25") * 4)]
        )
        await merge(worker)
        found = ask(worker, ALL, visitor(worker, "i20", "i07"))
        (pair,) = [one for one in found if one.item_id == "i25"]
        assert (pair.reason.kind, pair.reason.item_id) == ("together_with", "i20")


class TestPublished:
    """What the pipeline makes of scenarios."""

    @pytest.fixture
    def both(self) -> Iterator[WiredWorker]:
        after_purchase = frozenset({EventType.PURCHASE})
        scenarios = {
            "home": Scenario(k=3),
            "complements": Scenario("complements", 3, "purchase", publish_after=after_purchase),
            "silent": Scenario("silent", publish_after=frozenset()),
        }
        made = WiredWorker(None, replace(COLLECTING, scenarios=scenarios), TWO_STAGES)
        asyncio.run(open_shop(made))
        made.publisher.delivered.clear()
        yield made
        made.close()

    async def test_a_purchase_may_be_answered_by_more_than_one_scenario(self, both: WiredWorker) -> None:
        await both.interest.process([purchase("ann", "i05", 0)])
        made = both.recommendations()
        assert [(one["scenario"], one["trigger"]["topic"]) for one in made] == [
            ("home", "purchases"),
            ("complements", "purchases"),
        ]

    async def test_a_click_is_answered_by_the_others_alone(self, both: WiredWorker) -> None:
        await both.interest.process([click("ann", "i05", 100)])
        assert [one["scenario"] for one in both.recommendations()] == ["home"]

    async def test_a_user_who_is_looked_up_gets_what_was_published(self, both: WiredWorker) -> None:
        await both.interest.process([purchase("ann", "i05", 0)])
        serving = both.serving
        for published in both.recommendations():
            scenario = replace(ALL, k=3, name=published["scenario"])
            scenario = replace(scenario, basis="purchase" if scenario.name == "complements" else "history")
            found = look_up(serving.store, serving.generation, "ann", scenario)
            assert ids(found.items) == [one["item_id"] for one in published["items"]]


@pytest.mark.parametrize(("ranked_from", "asked"), [(1e9, False), (0.0, True)])
def test_the_ranker_is_asked_where_items_have_enough_events(
    monkeypatch: pytest.MonkeyPatch, ranked_from: float, asked: bool
) -> None:
    plain, young = opened(), opened(replace(TWO_STAGES, ranked_from=ranked_from))
    monkeypatch.setattr(young.model, "rank", lambda features: -features[:, :, FEATURES.index("interest")])
    lists = [ids(ask(worker, ALL, visitor(worker, "i01"))) for worker in (plain, young)]
    assert (lists[0] != lists[1]) is asked
    for worker in (plain, young):
        worker.close()
