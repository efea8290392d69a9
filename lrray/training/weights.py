"""A model's tensors as checkpoints hold them: by name, whole, on the CPU."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lrray.errors import LrrayError
from lrray.training.checkpoint import load_checkpoint
from lrray.training.parallel import placed_like, whole


def load_trained(model: nn.Module, checkpoint: Path) -> nn.Module:
    """Gives a model the weights of a checkpoint folder.

    Raises:
        LrrayError: the checkpoint is damaged or of another model.
    """
    load_weights(model, load_checkpoint(checkpoint).model)
    return model


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and kept buffers by name; of a sharded model all workers call together."""
    return {name: whole(tensor).cpu().clone() for name, tensor in _kept(model).items()}


def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copies what :func:`model_tensors` gave into a model of the same shape.

    Raises:
        LrrayError: names or shapes are of another model.
    """
    kept = _kept(model)
    mine = {name: tuple(tensor.shape) for name, tensor in kept.items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if mine != theirs:
        name = min(name for name, _ in mine.items() ^ theirs.items())
        raise LrrayError(
            f"checkpoint: {name}",
            f"must have the model's shape {mine.get(name)}",
            got=theirs.get(name),
            fix="use the checkpoint's own model settings",
        )
    with torch.no_grad():
        for name, tensor in kept.items():
            tensor.copy_(placed_like(tensors[name], tensor))


def _kept(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, shared ones once, and the buffers that a state dict keeps."""
    parameters = dict(model.named_parameters())
    # A shared parameter stands in the state dict under each of its names.
    every_name = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {k: v for k, v in model.state_dict().items() if k not in every_name}
    return {name: tensor.detach() for name, tensor in {**parameters, **buffers}.items()}
