"""What makes two parts of a training the same run, so that one may resume the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrray.errors import LrrayError
from lrray.gssm import SequenceModel
from lrray.training.config import TrainConfig

_FREE = {
    "micro_batch_size", "device", "compile", "parallel", "log_every", "eval_every",
    "eval_sequences", "eval_batch_size", "checkpoint_every", "keep_last",
}  # fmt: skip
"""Settings that say how a run is carried out or watched, not what it computes."""

_LENGTH = {"steps", "tokens"}


def run_identity(gssm: SequenceModel, config: TrainConfig) -> dict[str, Any]:
    """Plain data that two parts of one run share: its source of data and the settings that matter.

    A run with a constant learning rate may be made longer; any other schedule bends with length.
    """
    free = _FREE | (_LENGTH if config.schedule == "constant" else set())
    settings = config.model_dump(mode="json", exclude=free)
    return {**settings, **gssm.identity()}


def identity_without_length(gssm: SequenceModel, config: TrainConfig) -> dict[str, Any]:
    """The same for runs of which one may go on from the steps that they share."""
    settings = config.model_dump(mode="json", exclude=_FREE | _LENGTH)
    return {**settings, **gssm.identity()}


def check_identity(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuses checkpoints of another run.

    Raises:
        LrrayError: names the first key that differs.
    """
    for key in sorted(saved.keys() | wanted.keys()):
        if saved.get(key) != wanted.get(key):
            raise LrrayError(
                f"{path}: {key}",
                f"these checkpoints are of a run with {saved.get(key)!r}",
                got=wanted.get(key),
                fix="use the same settings or another folder",
            )
