"""Users as stored under any of the model's versions: a swap moves nobody until the user comes again."""

from __future__ import annotations

from collections.abc import Sequence

from exporters.vector_store import CollectionNames, UserRecord, VectorSizes, VectorStore
from streams.state import History, UserState, unpack


def read_users(
    store: VectorStore,
    names: CollectionNames,
    sizes: VectorSizes,
    elsewhere: Sequence[CollectionNames],
    user_ids: Sequence[str],
) -> list[UserState]:
    """The users in the order asked for, from the version that wrote them last; new ones begin empty; blocks.

    ``encoded_by`` is ``None``, and the vectors are zeros, where another version than ``names`` wrote last.
    Raises ``StoreUnavailable`` or ``StoreError``.
    """
    if not user_ids:
        return []
    found = [store.retrieve_users(one, user_ids) for one in (names, *elsewhere)]
    return [
        _newest(user_id, names, sizes, records)
        for user_id, records in zip(user_ids, zip(*found, strict=True))
    ]


def _newest(
    user_id: str, names: CollectionNames, sizes: VectorSizes, records: Sequence[UserRecord | None]
) -> UserState:
    """``records`` of one user, that of the model at work first: it is preferred where no other is newer."""
    user = UserState.new(user_id, sizes.item, sizes.state)
    histories = [(record, unpack(record.blob)) for record in records if record is not None]
    if not histories:
        user.encoded_by = names.users
        return user
    newest, user.history = max(histories, key=lambda one: (_reach(one[1]), one[0].sequence))
    # Above every version's count, so that the write wins wherever it is made.
    user.sequence = max(record.sequence for record, _ in histories)
    if newest is records[0]:
        user.interest, user.state, user.encoded_by = newest.interest, newest.state, names.users
    return user


def _reach(history: History) -> int:
    """How far a history has come on its topics: offsets only grow, so the longer one has the larger sum.

    Counts of writes alone would not do: two workers that both held the user for a moment may have written
    the same events in more and in fewer batches.
    """
    return sum(history.offsets.values())
