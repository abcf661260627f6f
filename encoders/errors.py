"""Every error that Freshet raises on purpose, in one tree.

It lives in the lowest layer, so that all three packages raise from the same tree::

    FreshetError                 exit code 1
    ├── SettingsError            exit code 2   a setting, an option or an environment variable is wrong
    ├── DataError                exit code 3   a data set cannot be read
    ├── ModelError               exit code 4   a model cannot be made, exported or used
    │   ├── ModelNotFound                      no model at that place
    │   ├── ModelCorrupt                       a digest, a graph or the golden vector does not match
    │   └── ReleaseRefused                     a released model cannot be used; ``reason`` in a word
    ├── StoreError               exit code 5   Qdrant refused: do not try the same call again
    │   └── StoreUnavailable                   Qdrant did not answer: the same call may succeed later
    └── BrokerError              exit code 6   Kafka cannot be used as it is set up
        └── BrokerUnavailable                  Kafka did not answer

A message (``str(error)``) is one line that says what to do. Errors of other libraries are translated
once, where Freshet meets them. Bad *input* is no error: it is a ``Rejected`` value that becomes a dead letter
(``streams/messages.py``).
"""

from __future__ import annotations


class FreshetError(Exception):
    """Base of the tree; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class SettingsError(FreshetError):
    """A setting is missing, malformed or contradicts another."""

    exit_code = 2


class DataError(FreshetError):
    """A data set is missing, in another format than named, or unreadable."""

    exit_code = 3


class ModelError(FreshetError):
    """A model cannot be made, exported, loaded or used."""

    exit_code = 4


class ModelNotFound(ModelError):
    """There is no model at the place that was named."""


class ModelCorrupt(ModelError):
    """A model's files are not what its manifest says, or do not compute what it promises."""


class ReleaseRefused(ModelError):
    """A released model cannot be used, and the running one keeps serving; ``reason`` is a metric's label."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(FreshetError):
    """Qdrant refused a call; repeating it cannot help."""

    exit_code = 5


class StoreUnavailable(StoreError):
    """Qdrant did not answer or answered with a passing fault; updates are idempotent, repeat them."""


class BrokerError(FreshetError):
    """Kafka cannot be used as it is set up."""

    exit_code = 6


class BrokerUnavailable(BrokerError):
    """No Kafka broker answered at the address."""
