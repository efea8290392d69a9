"""What a cell needs while it runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from lrray.config import Problem, Settings

MAX_PACK = 1024
"""Most cells of one process: each has a thread of its own."""


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus % 1:
        raise Problem("must be whole above 1, for Ray", got=gpus, fix="1, 2 or e.g. 0.5")
    return gpus


class Resources(Settings):
    """What one cell needs while it runs; no part of its identity."""

    cpu: Annotated[float, Field(gt=0)] = 1
    """CPU cores per worker."""
    gpu: Annotated[float, Field(ge=0), AfterValidator(_whole_above_one)] = 0
    """GPUs per worker; a fraction shares one among cells."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory limit of each worker of a cell; a cell that passes it is stopped and counted as out
    of memory."""
    time_limit_s: Annotated[float, Field(gt=0)] | None = None
    """Time limit of a cell."""
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    """Most cells that run at once; None: as many as fit."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Processes per cell; above 1 the cell trains in parallel, each worker with its own CPUs."""
    pack: Annotated[int, Field(ge=1, le=MAX_PACK)] = 1
    """Most cells that one process trains together, as one batched program, where they differ in
    seeds, data and learning rate alone; for small models, of which one fills no GPU."""
    wait_for_nodes_min: Annotated[float, Field(ge=0)] | None = None
    """Minutes that a cluster which starts nodes on demand may take until a cell fits; then, or
    with 0 at once, a cell that fits nowhere is refused. None: 15 on a cluster of ``ray up``, 0
    elsewhere."""
    max_failures: Annotated[int, Field(ge=0)] = 1
    """Times a cell that raised is tried again before it counts as failed."""
    cell_minutes: Annotated[float, Field(gt=0)] | None = None
    """How long a cell is expected to take; for ``--plan`` until a first one has run."""
    price_per_gpu_hour: Annotated[float, Field(ge=0)] | None = None
    """For the cost in ``--plan``."""

    @model_validator(mode="after")
    def _packed_cells_share_a_process(self) -> Resources:
        own = {"workers": self.workers > 1, "time_limit_s": self.time_limit_s is not None,
               "memory_gb": self.memory_gb is not None}  # fmt: skip
        for name, given in own.items():
            if self.pack > 1 and given:
                raise Problem(
                    f"packs cells into one process, where {name} of each is not known", at="pack",
                    got=self.pack, fix=f"leave {name} out, or pack",
                )  # fmt: skip
        return self
