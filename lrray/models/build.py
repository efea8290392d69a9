"""Building a model from its configuration, with fresh weights from a seed."""

from __future__ import annotations

import torch

from lrray.models.config import RECURRENT_TYPES, ModelConfig
from lrray.models.recurrent_config import recurrent_config
from lrray.references import is_reference


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
        LrrayError: as :func:`lrray.models.check.check_model`, or the model is not causal.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if is_reference(config.type):
            from lrray.models.custom import build_custom

            return build_custom(config, vocab_size, context_len)
        if config.type in RECURRENT_TYPES:
            from lrray.models.recurrent import RecurrentLM

            own = recurrent_config(config)
            sizes = (vocab_size, config.hidden_size, config.num_hidden_layers)
            return RecurrentLM(config.type, *sizes, own)
        # transformers takes seconds to import, which the recurrent types need not wait for.
        from lrray.models.huggingface import make_causal_lm

        return make_causal_lm(config, vocab_size, context_len)
