"""Models of the user's own, by ``model.type: module:Class``.

The class, or a function that returns a module, is called with keys by name: ``vocab_size``, the
number of tokens; ``context_len``, the longest input, where it takes that; and every key that stands
under ``model:``. Its own defaults hold for keys that do not stand there. What it makes maps tokens
``[B, T]`` to logits ``[B, T, V]``, checked by :mod:`lrray.models.contract`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lrray.config import Problem
from lrray.errors import LrrayError
from lrray.models.config import ModelConfig
from lrray.models.contract import check_contract
from lrray.references import call_arguments, failure, load_reference


def build_custom(config: ModelConfig, vocab_size: int, context_len: int) -> nn.Module:
    """Builds the model with fresh weights from torch's current random state.

    Raises:
        LrrayError: as :func:`check_custom`.
    """
    make = _maker(config, vocab_size, context_len)
    seed = torch.initial_seed()
    trial, model = make(), _seeded(make, seed)
    _check_same(config.type, trial, model)
    check_contract(trial, vocab_size, context_len, config.type)
    return model


def check_custom(config: ModelConfig, vocab_size: int, context_len: int) -> None:
    """Builds the model and tries it.

    Raises:
        LrrayError: the class cannot be loaded; a key that it does not take, or one that it needs
            and that is not there; building fails; or :func:`~lrray.models.contract.check_contract`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        build_custom(config, vocab_size, context_len)


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def _maker(config: ModelConfig, vocab_size: int, context_len: int) -> Callable[[], nn.Module]:
    """Calls the class with its arguments, every one checked against its signature."""
    from_data = {"vocab_size": vocab_size, "context_len": context_len}
    for name in from_data.keys() & config.given:
        fix = "leave it out: it is that of the data"
        raise LrrayError(f"model.{name}", "cannot be set", got=config.given[name], fix=fix)
    try:
        model_class = load_reference(config.type)
    except Problem as problem:
        raise problem.error("model.type") from None
    try:
        arguments = call_arguments(model_class, config.type, config.given, from_data)
    except Problem as problem:
        raise problem.error("model") from None
    if "vocab_size" not in arguments:
        rule = f"{config.type} must take vocab_size, the number of tokens"
        raise LrrayError("model.type", rule, fix="def __init__(self, vocab_size, …)")

    def make() -> nn.Module:
        try:
            model = model_class(**arguments)
        except Exception as error:  # whatever a user's class does
            said = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            rule = f"cannot be built with {said}: {failure(error)}"
            fix = "change the key that it names, or mend the class"
            raise LrrayError(f"model.type: {config.type}", rule, fix=fix) from None
        if not isinstance(model, nn.Module):
            got = type(model).__name__
            raise LrrayError("model.type", f"{config.type} must make an nn.Module", got=got)
        return model

    return make


def _check_same(name: str, one: nn.Module, other: nn.Module) -> None:
    """The seed alone must give the weights: a resumed run and every worker build them anew."""
    others = dict(other.named_parameters())
    for key, value in one.named_parameters():
        if key not in others or not torch.equal(value, others[key]):
            raise LrrayError(
                f"model.type: {name}", f"weights must follow from torch's seed, but {key} does not",
                fix="draw them with torch's random numbers",
            )  # fmt: skip
