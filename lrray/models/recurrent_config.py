"""Keys of the small recurrent models; apart from the models, so that a check needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lrray.config import Settings, parse
from lrray.errors import LrrayError
from lrray.models.config import ModelConfig


class RecurrentConfig(Settings):
    """Further keys of the types ``mingru``, ``minlstm``, ``gru`` and ``lstm``."""

    expansion: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """State size of the mixer over hidden_size."""
    mlp_ratio: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    """Width of each block's network over hidden_size; 0 leaves it out."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each branch's outputs set to zero while training."""
    initializer_range: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.02
    """Standard deviation of the initial embedding and output weights."""
    tie_word_embeddings: bool = False
    """Whether the output weights are the embedding's."""


def recurrent_config(config: ModelConfig) -> RecurrentConfig:
    """The keys of a recurrent model, checked.

    Raises:
        LrrayError: one is unknown or out of range.
    """
    if config.num_attention_heads is not None:
        raise LrrayError(
            "model.num_attention_heads",
            f"type {config.type} has no attention heads",
            got=config.num_attention_heads,
            fix="leave it out",
        )
    return parse(RecurrentConfig, config.options, "model")
