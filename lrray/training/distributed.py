"""The group of workers that train one model together, whoever started them.

A plain process is a group of one. Under ``torchrun`` the process group is made here from the
environment; in a Ray Train worker it exists already and is used as it is.
"""

from __future__ import annotations

import atexit
import os
import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist

from lrray.errors import LrrayError

_LET_GO_S = 0.3


@dataclass(frozen=True)
class Workers:
    """This process's place among the workers, and what they do together."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this worker reports, writes files and draws the progress bar."""
        return self.rank == 0

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The workers' mean of a tensor, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
            values /= self.world_size
        return values

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The workers' sum of a tensor, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any worker: decisions that all must take alike."""
        if self.world_size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return bool(flags.item())

    def gather(self, data: Any) -> list[Any]:
        """Plain data of every worker, in the order of their ranks."""
        if self.world_size == 1:
            return [data]
        every: list[Any] = [None] * self.world_size
        dist.all_gather_object(every, data)
        return every

    def wait(self) -> None:
        """Returns once every worker has come here."""
        if self.world_size > 1:
            dist.barrier()


ALONE = Workers(0, 1, torch.device("cpu"))
"""A plain process."""


def join_workers(device: Literal["auto", "cpu", "cuda"]) -> Workers:
    """This process's place among the workers; under ``torchrun`` makes the process group first.

    A group made here stays until the process ends, since one process cannot safely make a second.

    Raises:
        LrrayError: a GPU is asked for and none is there.
    """
    chosen = choose_device(device)
    if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        atexit.register(_leave)
    if not dist.is_initialized():
        return Workers(0, 1, chosen)
    return Workers(dist.get_rank(), dist.get_world_size(), chosen)


def _leave() -> None:
    """Ends the process group, and lets gloo's threads put down what they hold.

    One that still holds a tensor when the interpreter ends aborts the process, with everything
    done: so ended some runs of four workers on a busy machine.
    """
    dist.destroy_process_group()
    time.sleep(_LET_GO_S)


def choose_device(device: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device asked for; of several GPUs the one of this process's ``LOCAL_RANK``.

    Raises:
        LrrayError: a GPU is asked for and none is there.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise LrrayError(
            "device", "a GPU is asked for and none is there", fix="set device: auto or cpu"
        )
    if device == "cpu" or not available:
        return torch.device("cpu")
    # A process may be shown its own GPU alone, as number 0, whatever its local rank.
    index = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
