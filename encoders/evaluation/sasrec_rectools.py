"""SASRec of RecTools, run as a script by a Python that has ``rectools[torch]``: arrays in, lists out.

``python sasrec_rectools.py IN.npz OUT.npz``. RecTools wants an older numpy than Freshet, so it lives in an
environment of its own and this file imports nothing of Freshet. Kang & McAuley, "Self-attentive sequential
recommendation" (ICDM 2018); trained with the full softmax.

In: ``users``, ``items`` [e] (the past, oldest first), ``offsets`` [q + 1] and ``history`` (what each list may
know, oldest first), ``epochs`` [c] (rising), ``k``, ``repeats``, ``seed``, ``factors``, ``length``.
Out: ``lists`` [c, q, k], the lists after each number of epochs, item indices, -1 padding.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np


def main(source: str, target: str) -> None:
    """Train, and answer all histories after each number of epochs."""
    warnings.simplefilter("ignore")
    import torch
    from pytorch_lightning import seed_everything
    from rectools.models import SASRecModel

    given = np.load(source, allow_pickle=False)
    torch.set_num_threads(2)
    seed_everything(int(given["seed"]))
    model = SASRecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=int(given["factors"]),
        session_max_len=int(given["length"]),
        loss="softmax",
        deterministic=True,
        epochs=1,
    )
    past = dataset(given["users"], given["items"])
    owners = np.repeat(np.arange(len(given["offsets"]) - 1), np.diff(given["offsets"]))
    known = np.isin(given["history"], given["items"])  # it cannot read items that came after its training
    asked = dataset(owners[known], given["history"][known])
    lists, done = [], 0
    for epochs in given["epochs"].tolist():
        model.fit_partial(past, min_epochs=epochs - done, max_epochs=epochs - done)
        done = epochs
        print(f"sasrec: {epochs} epochs", file=sys.stderr, flush=True)
        lists.append(answered(model, asked, np.unique(owners[known]), given))
    np.savez(target, lists=np.stack(lists))


def dataset(users: Any, items: Any) -> Any:
    """Interactions in the order given: a second apart, so that equal times cannot be shuffled."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    times = pd.to_datetime(np.arange(len(users)), unit="s")
    columns = {Columns.User: users, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: times}
    return Dataset.construct(pd.DataFrame(columns))


def answered(model: Any, asked: Any, rows: Any, given: Any) -> Any:
    """Lists [q, k] of the histories; those without a known item stay empty."""
    k = int(given["k"])
    found = model.recommend(
        users=rows,
        dataset=asked,
        k=k,
        filter_viewed=not bool(given["repeats"]),
        on_unsupported_targets="ignore",
    )
    lists = np.full((len(given["offsets"]) - 1, k), -1, dtype=np.int64)
    lists[found["user_id"], found["rank"] - 1] = found["item_id"]
    return lists


if __name__ == "__main__":
    main(*sys.argv[1:])
