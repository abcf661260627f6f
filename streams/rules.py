"""Rules on items as people write them: one form in settings and request bodies, a short one in queries.

``[{"field": "price", "max": 100}, {"field": "category", "none_of": ["Toys"]}]`` and, in a query,
``filter=price<=100&filter=category!=Toys`` say the same. Both become an ``ItemRules``, which is pure data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from exporters.vector_store import ItemFilter
from streams.filters import ANYTHING

DAY_MS: Final = 86_400_000

Field = Literal["price", "category", "brand", "age_days"]
Bound = Annotated[float, Meta(ge=0, le=1e12)]
Values = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=500)], ...], Meta(max_length=100)]

OPERATORS: Final[dict[str, tuple[str, ...]]] = {
    "price": ("min", "max"),
    "category": ("any_of", "none_of"),
    "brand": ("any_of", "none_of"),
    "age_days": ("max",),
}
"""Field of an item -> what may be asked of it."""
FIELDS: Final = "items have " + ", ".join(f"{name} ({', '.join(of)})" for name, of in OPERATORS.items())
MAX_RULES: Final = 32
QUERY_FORM: Final = (
    "price<=20, price>=5, category=Toys, category!=Toys, brand=Acme, brand!=Acme, age_days<=30"
)


class RuleError(ValueError):
    """A rule that cannot be meant: one line that says what is wrong and which fields and forms there are."""


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked of one field: ``price`` takes ``min`` and ``max``, ``age_days`` (days since the item came
    into the catalogue) ``max``, ``category`` and ``brand`` ``any_of`` and ``none_of``.
    """

    field: Field
    min: Bound | None = None
    max: Bound | None = None
    any_of: Values | None = None
    none_of: Values | None = None


@dataclass(frozen=True, slots=True)
class ItemRules:
    """What is asked of items; ``max_age_ms`` counts back from a moment that the rules do not know."""

    filter: ItemFilter = ANYTHING
    max_age_ms: int | None = None


def read_rules(raw: object) -> ItemRules:
    """Rules as parsed from TOML or JSON, a list of tables; raises ``RuleError``."""
    try:
        return rules_of(msgspec.convert(raw, list[Rule]))
    except msgspec.ValidationError as error:
        raise RuleError(f"not a rule: {error}; {FIELDS}") from None


def rules_of(rules: Sequence[Rule]) -> ItemRules:
    """What the rules ask for together; raises ``RuleError`` where one says nothing or contradicts another."""
    _check_count(rules)
    asked: dict[str, Any] = {}
    for rule in rules:
        for operator, value in _operators(rule):
            if f"{rule.field} {operator}" in asked:
                raise RuleError(f"{rule.field} has {operator} twice: ask once; {FIELDS}")
            asked[f"{rule.field} {operator}"] = value
    _check_range(asked.get("price min"), asked.get("price max"))
    return _item_rules(asked)


def parse_filters(texts: Sequence[str]) -> ItemRules:
    """Read a query's ``filter`` parameters, such as ``price<=20`` and ``category=Toys``.

    Several values of one field mean any of them (``=``) or none of them (``!=``). Raises ``RuleError``.
    """
    _check_count(texts)
    found: dict[tuple[str, str], Any] = {}
    for text in texts:
        field, operator, value = _split(text)
        if operator in ("any_of", "none_of"):
            found.setdefault((field, operator), []).append(value)
        elif (field, operator) in found:
            raise RuleError(f"filter={text[:100]!r} sets the {operator} of {field} again: ask once")
        else:
            found[field, operator] = _number(text, value)
    return read_rules([{"field": field, operator: value} for (field, operator), value in found.items()])


def _operators(rule: Rule) -> Iterator[tuple[str, object]]:
    """The operators that a rule uses, with their values."""
    used = {name: getattr(rule, name) for name in ("min", "max", "any_of", "none_of")}
    used = {name: value for name, value in used.items() if value is not None}
    if not used:
        raise RuleError(f"the rule on {rule.field} asks for nothing; {FIELDS}")
    for name, value in used.items():
        if name not in OPERATORS[rule.field]:
            raise RuleError(f"{rule.field} has no {name}; {FIELDS}")
        if value == ():
            raise RuleError(f"{rule.field} {name} is empty: name at least one value or leave the rule out")
        yield name, value


def _check_count(rules: Sequence[object]) -> None:
    if len(rules) > MAX_RULES:
        raise RuleError(f"{len(rules)} rules; at most {MAX_RULES} can be asked for at a time")


def _check_range(low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise RuleError(f"price min {low:g} is above max {high:g}: no item can pass")


def _item_rules(asked: Mapping[str, Any]) -> ItemRules:
    days = asked.get("age_days max")
    return ItemRules(
        ItemFilter(
            min_price=asked.get("price min"),
            max_price=asked.get("price max"),
            any_category=_distinct(asked.get("category any_of", ())),
            no_category=_distinct(asked.get("category none_of", ())),
            any_brand=_distinct(asked.get("brand any_of", ())),
            no_brand=_distinct(asked.get("brand none_of", ())),
        ),
        None if days is None else round(days * DAY_MS),
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


_QUERY = re.compile(r"\s*(?P<field>\w+)\s*(?P<operator><=|>=|!=|=)\s*(?P<value>.*\S)\s*", re.DOTALL)
_QUERY_OPERATORS = {"<=": "max", ">=": "min", "=": "any_of", "!=": "none_of"}


def _split(text: str) -> tuple[str, str, str]:
    match = _QUERY.fullmatch(text) if len(text) <= 1_000 else None
    operator = _QUERY_OPERATORS[match["operator"]] if match else ""
    if match is None or operator not in OPERATORS.get(match["field"], ()):
        raise RuleError(f"filter={text[:100]!r} cannot be read; a filter is one of {QUERY_FORM}")
    return match["field"], operator, match["value"]


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise RuleError(f"filter={text[:100]!r} needs a number; a filter is one of {QUERY_FORM}") from None
