"""Models of the user's own, by ``model.type: module:Class``.

The class, or a function that returns a module, is called with keys by name: ``vocab_size``, the
number of tokens; ``context_len``, the longest input, where it takes that; and every key that stands
under ``model:``. Its own defaults hold for keys that do not stand there. What it makes maps tokens
``[B, T]`` to logits ``[B, T, V]``, checked by :mod:`lrray.models.contract`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

import torch
from torch import nn

from lrray.config import Problem
from lrray.errors import LrrayError, did_you_mean
from lrray.models.config import ModelConfig
from lrray.models.contract import check_contract
from lrray.references import failure, load_reference

_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_FROM_DATA = ("vocab_size", "context_len")


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
    try:
        model_class = load_reference(config.type)
    except Problem as problem:
        raise problem.error("model.type") from None
    from_data = dict(zip(_FROM_DATA, (vocab_size, context_len), strict=True))
    arguments = _arguments(model_class, config, from_data)

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


def _arguments(
    model_class: Callable[..., Any], config: ModelConfig, from_data: Mapping[str, int]
) -> dict[str, Any]:
    """What the class is called with.

    Raises:
        LrrayError: a key that it does not take, or one that it needs and that is not there.
    """
    parameters = signature(model_class).parameters
    named = [name for name, one in parameters.items() if one.kind in _BY_NAME]
    takes_all = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    given = config.given
    for name in given:
        if name in from_data:
            fix = "leave it out: it is that of the data"
            raise LrrayError(f"model.{name}", "cannot be set", got=given[name], fix=fix)
        if name not in named and not takes_all:
            fix = did_you_mean(name, set(named) - set(from_data))
            raise LrrayError("model", f"{config.type} takes no {name!r}", fix=fix)
    if "vocab_size" not in named and not takes_all:
        rule = f"{config.type} must take vocab_size, the number of tokens"
        raise LrrayError("model.type", rule, fix="def __init__(self, vocab_size, …)")
    taken = {name: n for name, n in from_data.items() if name in named or takes_all}
    for name in named:
        if parameters[name].default is Parameter.empty and name not in {**given, **taken}:
            raise LrrayError("model", f"{config.type} needs {name!r}", fix=f"model: {{{name}: …}}")
    return {**taken, **given}


def _check_same(name: str, one: nn.Module, other: nn.Module) -> None:
    """The seed alone must give the weights: a resumed run and every worker build them anew."""
    others = dict(other.named_parameters())
    for key, value in one.named_parameters():
        if key not in others or not torch.equal(value, others[key]):
            raise LrrayError(
                f"model.type: {name}", f"weights must follow from torch's seed, but {key} does not",
                fix="draw them with torch's random numbers",
            )  # fmt: skip
