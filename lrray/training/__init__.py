"""Training a model on a GSSM's tokens and measuring how far it stays above the exact bound."""

from lrray.training.config import TrainConfig

__all__ = ["TrainConfig"]
