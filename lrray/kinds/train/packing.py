"""Which cells of a training study one process can train side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.gssm import GraphConfig
from lrray.models.config import ModelConfig
from lrray.studies.cell import digest
from lrray.training.config import TrainConfig

_MAY_DIFFER = {
    "num_train_sequences", "learning_rate", "schedule", "warmup_steps",
    "min_lr_ratio", "decay_share", "data_seed", "model_seed", "shuffle_seed", "log_every",
    "eval_every", "eval_sequences", "eval_batch_size", "checkpoint_every", "keep_last",
}  # fmt: skip
"""Settings of ``train`` in which cells that are trained side by side may differ. The number of
steps is not among them: a longer cell goes on from a shorter one's checkpoint where it can."""


def check_packed(model: ModelConfig, train: TrainConfig, vocab_size: int) -> None:
    """Refuses what cannot be trained side by side.

    Raises:
        LrrayError: says why.
    """
    from lrray.models.build import build_model
    from lrray.training.stack import check_stacks

    if train.compile:
        raise LrrayError(
            "resources.pack", "cells that are trained together are not compiled",
            fix="train.compile: false, or leave pack out",
        )  # fmt: skip
    built = build_model(model, vocab_size, train.seq_len, 0)
    check_stacks(built, vocab_size, min(8, train.seq_len - 1))


def pack_key(settings: Mapping[str, Any]) -> str:
    """What cells share that are trained side by side: the shapes of model and batch, AdamW."""
    train = {k: v for k, v in settings["train"].items() if k not in _MAY_DIFFER}
    graph = parse(GraphConfig, settings["graph"], "graph")
    return digest([settings["model"], train, graph.observed.state_dim])
