"""A challenger beside the champion: in the shadow it is scored and compared, as a canary it answers a share.

Users stay under the champion; what the challenger knows of a user is encoded from the history, each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from streams.generation import Generation
from streams.reencoding import encode_histories
from streams.state import UserState


@dataclass(frozen=True, slots=True)
class Challenger:
    """Another version at work, and what for; ``share`` (0 to 1) of the users get its lists as a canary."""

    generation: Generation
    mode: Literal["shadow", "canary"]
    share: float = 0.0

    def answers(self, user_id: str) -> bool:
        """Whether the user gets the challenger's lists: always the same users of one challenger."""
        return self.mode == "canary" and drawn(user_id, self.generation.version) < self.share

    def seen(self, users: Sequence[UserState]) -> list[UserState]:
        """The users with the vectors that the challenger makes of their histories; blocks."""
        generation = self.generation
        generation.replica.ensure(one.item_id for user in users for one in user.history.events)
        states, interests = encode_histories(generation.model, generation.replica.items, users)
        return [
            UserState(user.user_id, interest, state, user.history)
            for user, state, interest in zip(users, states, interests, strict=True)
        ]


def drawn(user_id: str, salt: str) -> float:
    """A number in [0, 1) that follows from the user and the salt alone."""
    digest = blake2b(f"{salt} {user_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
