"""Checkpoints that are whole or absent, hold no pickles and tell when they are damaged.

A checkpoint is a folder ``step_0000001000`` with ``model.safetensors``, ``optimizer.safetensors``
and ``state.json``, which names the step, what the run is and the SHA-256 of both other files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from lrray.errors import LrrayError

_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on."""

    step: int
    """Steps that are done."""
    model: dict[str, Tensor]
    """Parameters and kept buffers by name."""
    optimizer: dict[str, Tensor]
    """Optimizer state by ``state.parameter name``."""
    state: dict[str, Any]
    """Plain data: what the run is, and counters."""


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: folder that holds them.
        keep_last: how many of the newest are kept.
    """

    def __init__(self, path: Path, keep_last: int) -> None:
        self.path, self._keep_last = path, keep_last

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint durably, then removes the ones beyond ``keep_last``."""
        final = self.path / f"step_{checkpoint.step:010d}"
        partial = self.path / f".{final.name}.{uuid.uuid4().hex}.partial"
        try:
            partial.mkdir(parents=True)
            save_file(checkpoint.model, partial / _MODEL)
            save_file(checkpoint.optimizer, partial / _OPTIMIZER)
            digests = {name: _digest(partial / name) for name in (_MODEL, _OPTIMIZER)}
            state = {"step": checkpoint.step, "sha256": digests, **checkpoint.state}
            (partial / _STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
            for name in (_MODEL, _OPTIMIZER, _STATE, "."):
                _sync(partial / name)
            if final.exists():  # left by a run that was resumed from an earlier checkpoint
                shutil.rmtree(final)
            partial.rename(final)
            _sync(self.path)
        except OSError as error:
            raise LrrayError(
                str(self.path), f"a checkpoint cannot be written: {error}", fix="free some space"
            ) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for old in self._found()[: -self._keep_last]:
            shutil.rmtree(old)
        return final

    def load_newest(self) -> Checkpoint | None:
        """The newest sound checkpoint; damaged ones are set aside as ``damaged_…``."""
        for path in reversed(self._found()):
            try:
                return load_checkpoint(path)
            except LrrayError:
                path.rename(path.with_name(f"damaged_{path.name}_{uuid.uuid4().hex[:8]}"))
        return None

    def _found(self) -> list[Path]:
        """Folders of checkpoints, oldest first."""
        return sorted(self.path.glob("step_*")) if self.path.is_dir() else []


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads one checkpoint folder.

    Raises:
        LrrayError: a file is missing, unreadable or differs from its checksum.
    """
    try:
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        for name in (_MODEL, _OPTIMIZER):
            if _digest(path / name) != state["sha256"][name]:
                raise ValueError(f"{name} does not match its checksum")
        model, optimizer = load_file(path / _MODEL), load_file(path / _OPTIMIZER)
        return Checkpoint(int(state["step"]), model, optimizer, state)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LrrayError(
            str(path), f"the checkpoint is damaged: {error}", fix="use an earlier one"
        ) from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
