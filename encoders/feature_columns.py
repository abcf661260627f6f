"""The columns of ``features.describe``: a few products over [b, t, c], t events of b users by c candidates.

What several columns need is computed once. Sums over events are products of stacked weights [b, k, t] with
[b, t, c], k sums at a time: the time goes into reading the large arrays, so each is read once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from encoders.events import EventType
from encoders.feature_inputs import FOLD_DECAY, FOLDED, SHARPNESS, Floats, Integers, Mask
from encoders.feature_question import Question

HOURS = 24.0
MINUTES = 1_440.0
HAD_DECAY = 0.995
"""Factor on what the user had at each event since."""
TEN = np.float32(10.0)


def columns(q: Question) -> Iterator[Floats]:
    """Every column [b, c], in the order of ``FEATURES``."""
    yield from _dense(q)
    yield from _covisitation(q)
    yield from _factors(q)
    yield from _popularity(q)
    yield from _content(q)
    yield from _repeat(q)
    yield from _behaviour(q)
    yield from _course(q)
    yield from _user(q)


def _dense(q: Question) -> Iterator[Floats]:
    interest: Floats = (q.vectors @ q.interests[:, :, None])[:, :, 0]  # [b, c]
    weights = np.stack([_shares(q.slow), _shares(q.fast), _shares(q.present)], axis=1)  # [b, 3, t]
    slow, fast, mean = np.moveaxis(weights @ q.similar, 1, 0)
    masked = np.where(q.present[:, :, None] > 0, q.similar, np.float32(-1.0))  # [b, t, c]
    nearest = masked.max(axis=1)
    masked -= np.float32(1.0)
    masked *= np.float32(SHARPNESS)
    sharp = _shares(q.present)[:, None, :] @ np.exp(masked, out=masked)  # [b, 1, c]
    second = q.similar[:, 1] * q.present[:, 1:2] if q.similar.shape[1] > 1 else np.zeros_like(interest)
    yield from (interest, _standard(interest, q.real), slow, fast)
    yield from (q.similar[:, 0] * q.present[:, :1], second, nearest)
    yield 1 + (np.log(np.maximum(sharp[:, 0], 1e-9)) / SHARPNESS).astype(np.float32)
    yield mean


def _covisitation(q: Question) -> Iterator[Floats]:
    powers = [q.slow * q.scale, q.slow * q.scale**2, q.slow * q.scale**4, q.slow]  # MILD, ½, 1, 0
    mild, cosine, chance, plain = np.moveaxis(np.stack(powers, axis=1) @ q.visited, 1, 0)  # [b, c] each
    covisited = mild * q.scale_to
    relative = covisited / np.maximum(covisited.max(axis=1, keepdims=True), 1e-9)
    yield np.log1p(covisited)
    yield relative
    yield _place(covisited, q.real)
    yield np.log1p(q.each[:, 0])
    yield np.log1p(q.each.max(axis=1))
    yield (_shares(q.slow)[:, None, :] @ (q.visited > 0).astype(np.float32))[:, 0]
    yield np.log1p(TEN * cosine * q.scale_to**2)
    yield np.log1p(TEN * chance)
    yield np.log1p(plain)
    yield np.log1p(TEN * q.long_cosine)
    yield np.log1p(q.long_weight)
    yield _like_others(q.vectors, relative)


def _factors(q: Question) -> Iterator[Floats]:
    factors, none = q.catalogue.factors, np.zeros(q.safe.shape, np.float32)
    if factors is None:
        yield from (none, none, none)
        return
    newest = q.whole.newest(FOLDED)
    weights = newest.weights * np.float32(FOLD_DECAY) ** np.arange(newest.items.shape[1], dtype=np.float32)
    users = weights[:, None, :] @ factors[newest.items]  # [b, 1, f]
    scores: Floats = (factors[q.safe] @ users.transpose(0, 2, 1))[:, :, 0]
    # What the user's other items say: that he had this one is told by features of repeats.
    rows, places, flat = (column[q.own.places < weights.shape[1]] for column in q.own)
    own = weights[rows, places] * np.square(factors[q.safe.reshape(-1)[flat]]).sum(axis=1)
    scores = scores - np.bincount(flat, own, scores.size).reshape(scores.shape)
    scores = np.where(q.real, np.maximum(scores, 0.0), 0.0).astype(np.float32)
    yield np.log(scores + np.float32(1e-4))
    yield _over(scores, scores.max(axis=1, keepdims=True))
    yield _place(scores, q.real)


def _popularity(q: Question) -> Iterator[Floats]:
    counts, recent = q.catalogue.popularity, q.catalogue.recent
    none = np.zeros(q.safe.shape, np.float32)
    popularity = np.log1p(counts[q.safe])
    some = none if recent is None else recent[q.safe]
    yield popularity
    yield popularity - np.log1p(counts.sum() / (q.catalogue.arrived or len(counts)))
    yield none if recent is None else np.log1p(some) - popularity
    yield np.log1p(some)
    # What decays by half each day tells the days since the last event by its logarithm.
    yield none if recent is None else -np.log(some + np.float32(1e-4))


def _content(q: Question) -> Iterator[Floats]:
    none, ages = np.zeros(q.safe.shape, np.float32), q.catalogue.ages
    yield none if q.catalogue.categories is None else _category(q, q.catalogue.categories)
    yield none if q.catalogue.prices is None else _price(q, q.catalogue.prices)
    yield none if ages is None else np.log1p(np.maximum(ages[q.safe], 0.0) * HOURS)


def _category(q: Question, categories: Integers) -> Floats:
    """Share of the newest events in the candidate's category."""
    of_item, of_event = categories[q.safe][:, None, :], categories[q.items][:, :, None]
    same = ((of_item == of_event) & (of_item >= 0)).astype(np.float32)  # [b, t, c]
    share: Floats = (_shares(q.slow)[:, None, :] @ same)[:, 0]
    return share


def _price(q: Question, prices: Floats) -> Floats:
    """|log of the candidate's price over the usual one of the newest events|; 0 where either is unknown."""
    own, theirs = prices[q.safe], prices[q.items]
    known = q.slow * (theirs > 0)  # [b, t]
    total = known.sum(axis=1)
    usual = (known * np.log(np.maximum(theirs, 1e-6))).sum(axis=1) / np.maximum(total, 1e-9)  # [b]
    gap = np.abs(np.log(np.maximum(own, 1e-6)) - usual[:, None])
    return np.where((own > 0) & (total > 0)[:, None], gap, 0.0).astype(np.float32)


def _repeat(q: Question) -> Iterator[Floats]:
    """What the user had of the candidate, by the whole history."""
    b, c = q.safe.shape
    rows, places, flat = q.own
    near = places < q.items.shape[1]
    slow = np.bincount(flat[near], q.slow[rows[near], places[near]], b * c)
    had = np.bincount(flat, minlength=b * c).astype(np.float32)
    lately = np.log1p(np.bincount(flat, np.float32(HAD_DECAY) ** places, b * c))
    newly = np.bincount(flat[near], minlength=b * c) > 0
    for column in (newly, slow, np.log1p(had), lately):
        yield column.reshape(b, c).astype(np.float32)
    yield from _when(q, had)


def _when(q: Question, had: Floats) -> Iterator[Floats]:
    """How long ago the user had the candidate last and first, and the last against his usual gap."""
    b, c = q.safe.shape
    rows, places, flat = q.own
    if q.whole.days is None:
        yield from np.zeros((3, b, c), np.float32)
        return
    days = np.maximum(q.whole.days[rows, places], 0.0)
    last, first = np.zeros(b * c, np.float32), np.zeros(b * c, np.float32)
    first[flat] = days  # the oldest event is written last
    last[flat[::-1]] = days[::-1]
    gap = np.where(had > 1, (first - last) / np.maximum(had - 1, 1), 30.0)  # of who had it once: a month
    yield np.log1p(last * HOURS).reshape(b, c)
    yield np.log1p(first * HOURS).reshape(b, c)
    yield np.log1p(last / np.maximum(gap, 1.0)).reshape(b, c)


def _behaviour(q: Question) -> Iterator[Floats]:
    """What kind of events: of everybody with the candidate, of the user with it, and of the user."""
    bought, none = q.catalogue.bought, np.zeros(q.safe.shape, np.float32)
    popularity = q.catalogue.popularity[q.safe]
    yield none if bought is None else np.log1p(bought[q.safe])
    yield none if bought is None else _over(bought[q.safe], popularity)
    types = q.whole.types
    if types is None:
        yield from np.zeros((4, *q.safe.shape), np.float32)
        return
    b, c = q.safe.shape
    rows, places, flat = q.own
    own = types[rows, places]
    latest = np.full(b * c, -1)
    latest[flat[::-1]] = own[::-1]  # the newest event is written last
    yield np.log1p(np.bincount(flat, own == EventType.PURCHASE, b * c)).reshape(b, c).astype(np.float32)
    yield (latest == EventType.CART).reshape(b, c).astype(np.float32)
    real = q.whole.weights > 0
    purchases = (types == EventType.PURCHASE) & real  # [b, t]
    for column in (purchases[:, 0], purchases.sum(axis=1) / np.maximum(real.sum(axis=1), 1)):
        yield np.broadcast_to(column.astype(np.float32)[:, None], q.safe.shape)


def _course(q: Question) -> Iterator[Floats]:
    """Whether people come to the item early or late, whether the user is early or late, in his life and in
    the last hour."""
    depth, none = q.catalogue.depth, np.zeros(q.safe.shape, np.float32)
    yield none if depth is None else depth[q.safe]
    yield none if depth is None else depth[q.safe] - np.log1p(q.lengths)[:, None]
    days = q.whole.days
    if days is None:
        yield from (none, none)
        return
    lately = (q.whole.weights > 0) & (days * HOURS < 1.0)  # [b, t]
    since = np.where(lately, np.maximum(days, 0.0), 0.0).max(axis=1) * HOURS * 3_600.0
    for column in (np.log1p(lately.sum(axis=1)), np.log1p(since)):
        yield np.broadcast_to(column.astype(np.float32)[:, None], q.safe.shape)


def _user(q: Question) -> Iterator[Floats]:
    """The same for all candidates: what the other columns are to be read by."""
    whole = q.whole
    count = (whole.weights > 0).sum(axis=1)
    pause = np.zeros(len(count)) if whole.days is None else np.maximum(whole.days[:, 0], 0.0) * (count > 0)
    ordered = np.sort(np.where(whole.weights > 0, whole.items, -1), axis=1)
    again = ((np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] >= 0)).sum(axis=1)
    for column in (np.log1p(q.lengths), np.log1p(pause * MINUTES), again / np.maximum(count, 1)):
        yield np.broadcast_to(column.astype(np.float32)[:, None], q.safe.shape)


def _like_others(vectors: Floats, weights: Floats) -> Floats:
    """Similarity to the weighted mean of the user's other candidates: vectors [b, c, d], weights [b, c]."""
    mean = (weights[:, None, :] @ vectors)[:, 0]  # [b, d]
    similar: Floats = (vectors @ mean[:, :, None])[:, :, 0] - weights
    norm: Floats = np.linalg.norm(mean, axis=1)[:, None]
    similar /= np.maximum(norm, 1e-9)
    return similar


def _standard(values: Floats, real: Mask) -> Floats:
    """Standard deviations above the mean of the user's candidates, [b, c]."""
    count = np.maximum(real.sum(axis=1, keepdims=True), 1)
    mean = np.where(real, values, 0.0).sum(axis=1, keepdims=True) / count
    spread = np.sqrt(np.where(real, (values - mean) ** 2, 0.0).sum(axis=1, keepdims=True) / count)
    standard: Floats = ((values - mean) / np.maximum(spread, 1e-6)).astype(np.float32)
    return standard


def _place(values: Floats, real: Mask) -> Floats:
    """log(1 + how many of the user's candidates are better), [b, c]; equal values share the best place."""
    order = np.argsort(np.where(real, -values, np.inf), axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    places = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    starts = np.zeros(values.shape, np.int64)
    starts[:, 1:] = np.where(ordered[:, 1:] != ordered[:, :-1], places[:, 1:], 0)
    better = np.empty(values.shape, np.float32)
    np.put_along_axis(better, order, np.maximum.accumulate(starts, axis=1), axis=1)
    return np.log1p(better)


def _shares(weights: Floats) -> Floats:
    """Weights [b, t] that add up to 1, or 0 where there are none."""
    return _over(weights, weights.sum(axis=1, keepdims=True))


def _over(values: Floats, whole: Floats) -> Floats:
    """Parts of a whole, 0 of nothing."""
    shares: Floats = (values / np.maximum(whole, 1e-9)).astype(np.float32)
    return shares
