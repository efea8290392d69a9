"""Sequence models made from their configuration, from scratch: Hugging Face's and small RNNs."""

from lrray.models.config import ModelConfig

__all__ = ["ModelConfig"]
