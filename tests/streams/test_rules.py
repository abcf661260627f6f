"""Rules as people write them, in tables and in queries: read the same, refused with a line that helps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporters.vector_store import ItemFilter
from streams.rules import DAY_MS, OPERATORS, ItemRules, Rule, RuleError, parse_filters, read_rules, rules_of

PAIRS: list[tuple[list[str], list[dict[str, Any]], ItemRules]] = [
    ([], [], ItemRules()),
    (["price<=20"], [{"field": "price", "max": 20}], ItemRules(ItemFilter(max_price=20.0))),
    (["price >= 5.5"], [{"field": "price", "min": 5.5}], ItemRules(ItemFilter(min_price=5.5))),
    (
        ["price>=5", "price<=5"],
        [{"field": "price", "min": 5}, {"field": "price", "max": 5}],
        ItemRules(ItemFilter(min_price=5.0, max_price=5.0)),
    ),
    (
        ["category=Toys", "category=Games & Fun", "category!=a=b"],
        [{"field": "category", "any_of": ["Toys", "Games & Fun"], "none_of": ["a=b"]}],
        ItemRules(ItemFilter(any_category=("Toys", "Games & Fun"), no_category=("a=b",))),
    ),
    (
        ["brand=Acme", "brand=Acme", "brand!=Bolt"],
        [{"field": "brand", "any_of": ["Acme", "Acme"]}, {"field": "brand", "none_of": ["Bolt"]}],
        ItemRules(ItemFilter(any_brand=("Acme",), no_brand=("Bolt",))),
    ),
    (["age_days<=1.5"], [{"field": "age_days", "max": 1.5}], ItemRules(max_age_ms=DAY_MS * 3 // 2)),
]


@pytest.mark.parametrize(("texts", "tables", "expected"), PAIRS, ids=lambda value: str(value)[:40])
def test_a_query_and_a_table_say_the_same(
    texts: list[str], tables: list[dict[str, Any]], expected: ItemRules
) -> None:
    assert parse_filters(texts) == read_rules(tables) == expected


WRONG_TABLES: dict[str, tuple[Any, str]] = {
    "unknown field": ([{"field": "colour", "any_of": ["red"]}], "colour"),
    "no field": ([{"max": 5}], "field"),
    "unknown operator": ([{"field": "price", "below": 5}], "below"),
    "range on words": ([{"field": "category", "max": 5}], "category has no max"),
    "list on numbers": ([{"field": "price", "any_of": ["5"]}], "price has no any_of"),
    "least age": ([{"field": "age_days", "min": 5}], "age_days has no min"),
    "min above max": ([{"field": "price", "min": 5, "max": 4}], "above max 4"),
    "min above max, apart": ([{"field": "price", "min": 5}, {"field": "price", "max": 4}], "above max 4"),
    "empty any_of": ([{"field": "brand", "any_of": []}], "any_of is empty"),
    "empty none_of": ([{"field": "brand", "none_of": []}], "none_of is empty"),
    "empty name": ([{"field": "brand", "any_of": [""]}], "length >= 1"),
    "repeated": ([{"field": "price", "max": 5}, {"field": "price", "max": 6}], "price has max twice"),
    "nothing asked": ([{"field": "price"}], "asks for nothing"),
    "a word for a number": ([{"field": "price", "max": "5"}], "float"),
    "below 0": ([{"field": "price", "min": -1}], ">= 0"),
    "no number": ([{"field": "price", "min": float("nan")}], ">= 0"),
    "endless": ([{"field": "price", "max": float("inf")}], "<= 1"),
    "one word": ([{"field": "brand", "any_of": "Acme"}], "array"),
    "no list": ({"field": "price", "max": 5}, "array"),
    "a table too few": ([5], "object"),
    "too many": ([{"field": "price", "max": 5}] * 33, "at most 32"),
}


@pytest.mark.parametrize(("tables", "named"), WRONG_TABLES.values(), ids=WRONG_TABLES.keys())
def test_a_table_that_cannot_be_meant_is_one_line(tables: Any, named: str) -> None:
    with pytest.raises(RuleError) as caught:
        read_rules(tables)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_field_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(RuleError, match=r"items have price.*category.*brand.*age_days"):
        read_rules([{"field": "colour", "any_of": ["red"]}])


WRONG_TEXTS = {
    "unknown field": "colour=red",
    "no operator": "price",
    "nothing": "",
    "no value": "category=",
    "blank value": "category=  ",
    "equal price": "price=5",
    "range on words": "category<=5",
    "least age": "age_days>=5",
    "a word for a number": "price<=cheap",
    "below 0": "price<=-1",
    "no number": "price<=nan",
    "endless": "price<=inf",
    "too long": "category=" + "x" * 2_000,
    "a long name": "category=" + "x" * 600,
    "two lines": "colour\n=red",
}


@pytest.mark.parametrize("text", WRONG_TEXTS.values(), ids=WRONG_TEXTS.keys())
def test_a_query_that_cannot_be_meant_is_one_short_line(text: str) -> None:
    with pytest.raises(RuleError, match=r"price.*category.*brand.*age_days") as caught:
        parse_filters([text])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_bound_may_be_asked_once() -> None:
    with pytest.raises(RuleError, match="max of price again"):
        parse_filters(["price<=5", "price<=6"])


def test_the_number_of_filters_is_bounded() -> None:
    with pytest.raises(RuleError, match="at most"):
        parse_filters(["brand=Acme"] * 33)


def test_a_query_with_contradicting_bounds_is_refused() -> None:
    with pytest.raises(RuleError, match="min 5 is above max 4"):
        parse_filters(["price>=5", "price<=4"])


def test_a_request_body_holds_the_same_tables() -> None:
    rules = msgspec.json.decode(b'[{"field": "price", "max": 20}]', type=list[Rule])
    assert rules_of(rules) == parse_filters(["price<=20"])


def test_the_published_schema_names_the_fields() -> None:
    schema = msgspec.json.schema(Rule)["$defs"]["Rule"]["properties"]
    assert set(schema["field"]["enum"]) == set(OPERATORS)
    assert set(schema) == {"field"}.union(*OPERATORS.values())
