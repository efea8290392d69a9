"""Checkpoints that are whole or absent, hold no pickles and tell when they are damaged.

A checkpoint is a folder ``step_0000001000`` with ``model.safetensors``, ``optimizer.safetensors``
and ``state.json``, which names the step, what the run is and the SHA-256 of the other files. Of a
sharded model every worker writes its own rows, ``model.1-of-4.safetensors`` and so on; what is not
sharded stands in the first part. Any number of workers can read either form.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from lrray.errors import LrrayError, cannot_write
from lrray.files import sync
from lrray.training.distributed import ALONE, Workers
from lrray.training.parallel import is_sharded, own_part
from lrray.training.saved import SavedTensors

_MODEL, _OPTIMIZER, _STATE = "model", "optimizer", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on."""

    step: int
    """Steps that are done."""
    model: Mapping[str, Tensor]
    """Parameters and kept buffers by name."""
    optimizer: Mapping[str, Tensor]
    """Optimizer state by ``state.parameter name``."""
    state: dict[str, Any]
    """Plain data: what the run is, and counters."""


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint on the disk; its tensors are read when they are asked for."""

    step: int
    model: SavedTensors
    optimizer: SavedTensors
    state: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one run. With several workers every one makes and calls it alike.

    Args:
        path: folder that holds them, seen by all workers.
        keep_last: how many of the newest are kept.
        workers: that write and read together.
        saved: called by the first worker when a checkpoint is whole and those beyond ``keep_last``
            are gone.
    """

    def __init__(
        self,
        path: Path,
        keep_last: int,
        workers: Workers = ALONE,
        saved: Callable[[], None] = lambda: None,
    ) -> None:
        self.path, self._keep_last, self._workers = path, keep_last, workers
        self._saved = saved

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint durably, then removes the ones beyond ``keep_last``.

        Raises:
            LrrayError: a worker cannot write. DiskFullError: it has no room.
        """
        final = self.path / f"step_{checkpoint.step:010d}"
        partial = self.path / f".{final.name}.partial"
        try:
            self._together(lambda: self._begin(partial))
            digests: dict[str, str] = {}
            self._together(lambda: digests.update(self._write_part(partial, checkpoint)))
            for part in self._workers.gather(digests):
                digests |= part
            state = {"step": checkpoint.step, "sha256": digests, **checkpoint.state}
            self._together(lambda: self._finish(partial, final, state))
        finally:
            if self._workers.is_first:
                shutil.rmtree(partial, ignore_errors=True)
        return final

    def _together(self, act: Callable[[], None]) -> None:
        """Acts in every worker; where one fails none goes on, so that none waits for ever."""
        own: LrrayError | None = None
        try:
            act()
        except (OSError, SafetensorError) as error:
            own = cannot_write(self.path, "a checkpoint", error)
        problems = [problem for problem in self._workers.gather(own) if problem is not None]
        if problems:
            raise own or problems[0]

    def _begin(self, partial: Path) -> None:
        if self._workers.is_first:
            if partial.exists():  # left by a run that was killed while it wrote
                shutil.rmtree(partial)
            partial.mkdir(parents=True)

    def _write_part(self, partial: Path, checkpoint: Checkpoint) -> dict[str, str]:
        """Writes this worker's files; returns their digests by name."""
        rank, digests = self._workers.rank, {}
        split = any(is_sharded(tensor) for tensor in checkpoint.model.values())
        for kind, tensors in ((_MODEL, checkpoint.model), (_OPTIMIZER, checkpoint.optimizer)):
            own = {
                name: own_part(tensor).contiguous()
                for name, tensor in tensors.items()
                if rank == 0 or is_sharded(tensor)
            }
            if rank == 0 or split:
                place = f".{rank + 1}-of-{self._workers.world_size}" if split else ""
                path = partial / f"{kind}{place}.safetensors"
                save_file(own, path)
                sync(path)
                digests[path.name] = _digest(path)
        return digests

    def _finish(self, partial: Path, final: Path, state: dict[str, Any]) -> None:
        if not self._workers.is_first:
            return
        (partial / _STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        sync(partial / _STATE)
        sync(partial)
        if final.exists():  # left by a run that was resumed from an earlier checkpoint
            shutil.rmtree(final)
        partial.rename(final)
        sync(self.path)
        for old in self._found()[: -self._keep_last]:
            shutil.rmtree(old)
        self._saved()

    def load_newest(self, at_most: int | None = None) -> SavedCheckpoint | None:
        """The newest checkpoint that is sound; damaged ones are set aside as ``damaged_…``.

        Args:
            at_most: steps that it may have done; None: any number.

        Raises:
            LrrayError: not all workers see the same checkpoints.
        """
        while True:
            found = [path for path in self._found() if at_most is None or _step(path) <= at_most]
            path = found[-1] if found else None
            self._check_shared(path)
            if path is None:
                return None
            try:
                checkpoint = load_checkpoint(path, self._workers)
            except LrrayError:
                checkpoint = None
            if not self._workers.any(checkpoint is None):
                return checkpoint
            if self._workers.is_first:
                path.rename(path.with_name(f"damaged_{path.name}_{uuid.uuid4().hex[:8]}"))
            self._workers.wait()

    def _check_shared(self, newest: Path | None) -> None:
        """Refuses a folder that not all workers see: they would train different models."""
        step = 0 if newest is None else _step(newest)
        mean = self._workers.mean(
            torch.tensor(float(step), dtype=torch.float64, device=self._workers.device)
        )
        if self._workers.any(mean.item() != step):
            raise LrrayError(
                "run_dir",
                "every worker must see the same checkpoints",
                got=f"step {step} in worker {self._workers.rank}",
                fix="use a folder that all hosts share",
            )

    def _found(self) -> list[Path]:
        """Folders of checkpoints, oldest first."""
        return sorted(self.path.glob("step_*")) if self.path.is_dir() else []


def _step(path: Path) -> int:
    """Steps that the checkpoint in a folder has done."""
    return int(path.name.removeprefix("step_"))


def load_checkpoint(path: Path, workers: Workers = ALONE) -> SavedCheckpoint:
    """Opens one checkpoint folder; the workers share the checking of its files.

    Raises:
        LrrayError: a file is missing, unreadable or differs from its checksum.
    """
    try:
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        names = sorted(state["sha256"])
        for name in names[workers.rank :: workers.world_size]:
            if _digest(path / Path(name).name) != state["sha256"][name]:
                raise ValueError(f"{name} does not match its checksum")
        model, optimizer = (
            SavedTensors([path / Path(name).name for name in names if name.startswith(f"{kind}.")])
            for kind in (_MODEL, _OPTIMIZER)
        )
        return SavedCheckpoint(int(state["step"]), model, optimizer, state)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LrrayError(
            str(path), f"the checkpoint is damaged: {error}", fix="use an earlier one"
        ) from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
