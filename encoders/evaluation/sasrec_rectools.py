"""SASRec of RecTools, run as a script by a Python that has ``rectools[torch]``: arrays in, lists out.

``python sasrec_rectools.py IN.npz FOLDER``. RecTools wants an older numpy than Freshet, so it lives in an
environment of its own and this file imports nothing of Freshet. Kang & McAuley, "Self-attentive sequential
recommendation" (ICDM 2018); trained with the full softmax.

In: ``users``, ``items`` [e] (the past, oldest first), ``offsets`` [q + 1] and ``history`` (what each list may
know, oldest first), ``epochs`` [c] (rising), ``k``, ``repeats``, ``seed``, ``factors``, ``length``.
Out, in ``FOLDER`` after each number of epochs, its path a line on stdout: lists [q, k], item indices, -1
padding.
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def main(source: str, folder: str) -> None:
    """Train, and answer all histories after each number of epochs."""
    warnings.simplefilter("ignore")
    from pytorch_lightning import seed_everything
    from rectools.models import SASRecModel

    for name in ("pytorch_lightning", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    given = np.load(source, allow_pickle=False)
    factors, length = int(given["factors"]), int(given["length"])
    seed_everything(int(given["seed"]))
    model = SASRecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=factors,
        session_max_len=length,
        batch_size=32,  # four times the steps of its default, at the same cost of an epoch
        loss="softmax",
        deterministic=True,
        epochs=1,
    )
    past = dataset(windows(given["users"], length + 1), given["items"])
    owners = np.repeat(np.arange(len(given["offsets"]) - 1), np.diff(given["offsets"]))
    known = np.isin(given["history"], given["items"])  # it cannot read items that came after its training
    asked = dataset(owners[known], given["history"][known])
    for epoch in range(1, int(given["epochs"].max()) + 1):
        model.fit_partial(past, min_epochs=1, max_epochs=1)
        print(f"sasrec, {factors} factors, length {length}: epoch {epoch}", file=sys.stderr, flush=True)
        if epoch in given["epochs"]:
            target = Path(folder) / f"{epoch}.npy"
            np.save(target, answered(model, asked, np.unique(owners[known]), given))
            print(target, flush=True)


def windows(users: Any, length: int) -> Any:
    """Each user's events in windows of ``length``, counted from the newest: [e] users -> [e] windows.

    The model reads no more at once, and would leave out all but a user's newest.
    """
    order = np.argsort(users[::-1], kind="stable")  # by user, newest first
    starts = np.flatnonzero(np.r_[True, np.diff(users[::-1][order]) != 0])
    ages = np.arange(len(users)) - np.repeat(starts, np.diff(np.r_[starts, len(users)]))
    found = np.empty(len(users), dtype=np.int64)
    found[::-1][order] = ages // length
    return users * (int(found.max(initial=0)) + 1) + found


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
