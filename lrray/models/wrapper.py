"""A Hugging Face model as tokens in, logits out.

It stands apart from :mod:`lrray.models.huggingface`, whose import takes seconds, so that a model's
size can be counted without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CausalLM(nn.Module):
    """A Hugging Face model reduced to tokens in, logits out."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, T, V]`` of each next token, from tokens ``[B, T]``."""
        logits: Tensor = self.model(input_ids=tokens, use_cache=False).logits
        return logits
