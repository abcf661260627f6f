"""Training that was interrupted goes on where it stood: tensors as safetensors, the rest as JSON."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from encoders.errors import ModelCorrupt, ModelError, SettingsError

Tensors = dict[str, Tensor]
_STATE, _TENSORS = "progress.json", "tensors.safetensors"


class TrainingProgress(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where training stands after a whole epoch."""

    fingerprint: str
    """Digest of data, configuration and parent: a checkpoint of something else is refused."""
    epoch: int = 0
    best_epoch: int = 0
    """0: no epoch was better than the model training started from."""
    best_ndcg: float = 0.0
    best_recall: float = 0.0
    losses: list[float] = []
    curve: list[float] = []
    """Validation NDCG@10 after each epoch."""


class Checkpoint:
    """A folder that holds the newest epoch; written beside and moved, so that it is always a whole one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, progress: TrainingProgress, tensors: Tensors) -> None:
        """Replace what is there. Raises ``ModelError`` where it cannot be written; what was there stays."""
        fresh = self._folder.with_name(self._folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir(parents=True)
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, fresh / _TENSORS)
            (fresh / _STATE).write_bytes(msgspec.json.encode(progress))
        except (OSError, SafetensorError) as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ModelError(
                f"cannot save the training in {self._folder}: {error}; make room there, then --resume"
            ) from error
        shutil.rmtree(self._folder, ignore_errors=True)
        fresh.rename(self._folder)

    def exists(self) -> bool:
        """Whether there is something to go on with."""
        return (self._folder / _STATE).is_file()

    def load(self, fingerprint: str) -> tuple[TrainingProgress, Tensors]:
        """Read it; raises ``SettingsError`` where there is none or it belongs to another training."""
        if not self.exists():
            raise SettingsError(f"nothing to resume in {self._folder.parent}: start without --resume")
        try:
            progress = msgspec.json.decode((self._folder / _STATE).read_bytes(), type=TrainingProgress)
            tensors = load_file(self._folder / _TENSORS)
        except (msgspec.MsgspecError, SafetensorError, OSError) as error:
            raise ModelCorrupt(
                f"the checkpoint {self._folder} is unreadable: start without --resume"
            ) from error
        if progress.fingerprint != fingerprint:
            raise SettingsError(
                f"the checkpoint {self._folder} is of other data or settings: start without --resume"
            )
        return progress, tensors

    def remove(self) -> None:
        """Forget it: training is done."""
        shutil.rmtree(self._folder, ignore_errors=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """An optimizer's state as named tensors: ``optimizer.<parameter index>.<key>``."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{i}.{key}": value for i, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put back what ``optimizer_tensors`` gave."""
    state: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
