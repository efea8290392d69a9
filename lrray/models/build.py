"""Building a model from its configuration, with fresh weights from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.models.config import RECURRENT_TYPES, ModelConfig
from lrray.references import is_reference

if TYPE_CHECKING:
    from lrray.models.recurrent import RecurrentConfig


def build_model(
    config: ModelConfig, vocab_size: int, context_len: int, seed: int
) -> torch.nn.Module:
    """Builds a causal model on the CPU in float32; torch's own random state stays untouched.

    Args:
        config: type and size.
        vocab_size: tokens that occur in the data.
        context_len: longest input in tokens.
        seed: of the initial weights.

    Returns:
        A module that maps tokens ``[B, T]`` to the logits ``[B, T, V]`` of each next token, with V
        the vocabulary size.

    Raises:
        LrrayError: as :func:`check_model`, or the model is not causal.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if is_reference(config.type):
            from lrray.models.custom import build_custom

            return build_custom(config, vocab_size, context_len)
        if config.type in RECURRENT_TYPES:
            from lrray.models.recurrent import RecurrentLM

            own = _recurrent_config(config)
            sizes = (vocab_size, config.hidden_size, config.num_hidden_layers)
            return RecurrentLM(config.type, *sizes, own)
        # transformers takes seconds to import, which the recurrent types need not wait for.
        from lrray.models.huggingface import make_causal_lm

        return make_causal_lm(config, vocab_size, context_len)


def check_model(config: ModelConfig, vocab_size: int, context_len: int) -> None:
    """Checks a configuration before a study starts, say; only a model of the user's own is built.

    Raises:
        LrrayError: unknown type or key; heads that do not divide the hidden size; a context or
            vocabulary larger than the given keys allow; a value that the type refuses; a model of
            the user's own that does not do what it must (:mod:`lrray.models.contract`).
    """
    if is_reference(config.type):
        from lrray.models.custom import check_custom

        check_custom(config, vocab_size, context_len)
    elif config.type in RECURRENT_TYPES:
        _recurrent_config(config)
    else:
        from lrray.models.huggingface import make_config

        make_config(config, vocab_size, context_len)


def _recurrent_config(config: ModelConfig) -> RecurrentConfig:
    from lrray.models.recurrent import RecurrentConfig

    if config.num_attention_heads is not None:
        raise LrrayError(
            "model.num_attention_heads",
            f"type {config.type} has no attention heads",
            got=config.num_attention_heads,
            fix="leave it out",
        )
    return parse(RecurrentConfig, config.options, "model")
