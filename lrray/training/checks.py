"""What a run's settings, workers and files must have in common, checked before any work."""

from __future__ import annotations

from pathlib import Path

from lrray.errors import LrrayError
from lrray.training.config import TrainConfig
from lrray.training.distributed import Workers


def check_run(
    config: TrainConfig,
    workers: Workers,
    run_dir: Path | None,
    dataset: Path | None,
    tensorboard: bool,
) -> None:
    """Refuses what does not go together.

    Raises:
        LrrayError: says which setting.
    """
    for name in ("batch_size", "eval_sequences"):
        size = getattr(config, name)
        if size % workers.world_size:
            raise LrrayError(
                name,
                f"must be divisible by the number of workers, {workers.world_size}",
                got=size,
                fix="change one of the two",
            )
    if run_dir is None and (config.checkpoint_every or tensorboard):
        raise LrrayError("run_dir", "checkpoints and event files need a folder", fix="give one")
    if (config.num_train_sequences is None) != (dataset is None):
        raise LrrayError(
            "num_train_sequences",
            "a data file and a number of training sequences go together",
            got=config.num_train_sequences,
            fix="give both, or neither for infinite data",
        )
