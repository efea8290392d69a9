"""A model's tensors as checkpoints hold them: by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lrray.errors import LrrayError
from lrray.training.checkpoint import load_checkpoint
from lrray.training.parallel import read_into
from lrray.training.saved import SavedTensors


def load_trained(model: nn.Module, checkpoint: Path) -> nn.Module:
    """Gives a model the weights of a checkpoint folder, for use after training.

    Args:
        model: as :func:`lrray.models.build.build_model` makes it from the run's settings.
        checkpoint: ``TrainResult.checkpoint``, written by one worker or by several; checked first.

    Raises:
        LrrayError: the checkpoint is damaged or of another model.
    """
    load_tensors(model_tensors(model), load_checkpoint(checkpoint).model)
    return model


def load_weights(model: nn.Module, folder: Path) -> nn.Module:
    """Gives a model the weights that a finished cell kept.

    Raises:
        LrrayError: they are damaged or of another model.
    """
    load_tensors(model_tensors(model), saved_tensors(folder))
    return model


def saved_tensors(folder: Path) -> SavedTensors:
    """The tensors in a folder's ``model*.safetensors``.

    Raises:
        LrrayError: they are damaged.
    """
    try:
        return SavedTensors(list(folder.glob("model*.safetensors")))
    except (OSError, ValueError) as error:
        raise LrrayError(str(folder), f"the weights are damaged: {error}") from None


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, shared ones once, and the buffers that a state dict keeps: the model's own."""
    parameters = dict(model.named_parameters())
    # A shared parameter stands in the state dict under each of its names.
    every_name = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {k: v for k, v in model.state_dict().items() if k not in every_name}
    return {name: tensor.detach() for name, tensor in {**parameters, **buffers}.items()}


def load_tensors(tensors: Mapping[str, Tensor], saved: SavedTensors) -> None:
    """Fills tensors, sharded or not, from saved ones of the same names and shapes.

    Raises:
        LrrayError: names or shapes are of another model.
    """
    mine = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    theirs = {name: saved.shape(name) for name in saved}
    if mine != theirs:
        name = min(name for name, _ in mine.items() ^ theirs.items())
        raise LrrayError(
            f"checkpoint: {name}",
            f"must have the model's shape {mine.get(name)}",
            got=theirs.get(name),
            fix="use the checkpoint's own model settings",
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            read_into(tensor, saved, name)
