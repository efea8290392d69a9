"""How much a training cell computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrray.config import parse
from lrray.gssm import GraphConfig
from lrray.models.config import ModelConfig
from lrray.studies.work import Work
from lrray.training.config import TrainConfig


def work(settings: Mapping[str, Any]) -> Work:
    """Tokens of a cell and FLOPs of each; the model is built for that."""
    from lrray.models.build import build_model
    from lrray.models.size import model_size

    train = parse(TrainConfig, settings["train"], "train")
    vocab_size = parse(GraphConfig, settings["graph"], "graph").observed.state_dim
    model_config = parse(ModelConfig, settings["model"], "model")
    model = build_model(model_config, vocab_size, train.seq_len, seed=0)
    tokens = train.num_steps * train.batch_size * train.seq_len
    return Work(tokens, model_size(model, train.seq_len).flops_per_token)
