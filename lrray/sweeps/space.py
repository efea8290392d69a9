"""Search spaces in W&B's terms and back.

============================  ====================================================
lrray                         W&B
============================  ====================================================
``uniform``                   ``uniform``
``log_uniform``               ``log_uniform_values``
``int_uniform``               ``int_uniform``
``int_log_uniform``           ``q_log_uniform_values`` with ``q: 1``
``choice``                    ``values`` (``categorical``)
a fixed setting               ``value`` (``constant``)
============================  ====================================================

A range whose bounds are equal is a fixed setting. W&B's other distributions (normal, beta,
quantised, with probabilities, …) have no counterpart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lrray.errors import LrrayError, did_you_mean
from lrray.studies.space import Range

_TO_WANDB = {
    "uniform": "uniform",
    "log_uniform": "log_uniform_values",
    "int_uniform": "int_uniform",
    "int_log_uniform": "q_log_uniform_values",
}
_FROM_WANDB = {wandb: own for own, wandb in _TO_WANDB.items()}


def to_parameter(range_: Range) -> dict[str, Any]:
    """One range as the value of a key of a sweep's ``parameters``."""
    if range_.values is not None:
        return {"values": list(range_.values)}
    assert range_.low is not None
    assert range_.high is not None
    number = int if range_.distribution.startswith("int") else float
    parameter: dict[str, Any] = {
        "distribution": _TO_WANDB[range_.distribution],
        "min": number(range_.low),
        "max": number(range_.high),
    }
    return {**parameter, "q": 1} if range_.distribution == "int_log_uniform" else parameter


_WANDBS = {
    *_FROM_WANDB, "constant", "categorical", "categorical_w_probabilities", "log_uniform",
    "inv_log_uniform", "inv_log_uniform_values", "q_uniform", "q_log_uniform", "normal", "q_normal",
    "log_normal", "q_log_normal", "beta", "q_beta",
}  # fmt: skip
"""All distributions that W&B takes."""

_KEYS = {
    "value", "values", "distribution", "probabilities", "min", "max", "mu", "sigma", "q", "a", "b",
}  # fmt: skip
"""All that W&B knows below a parameter, ``parameters`` aside."""


def check_parameter(parameter: Mapping[str, Any], where: str) -> None:
    """Refuses what W&B would refuse, where it would otherwise be left out without a word.

    Raises:
        LrrayError: an unknown key, as where ``parameters:`` is missing above nested ones, or
            nothing that says what to draw.
    """
    unknown = [key for key in parameter if key not in _KEYS]
    if unknown:
        nested = [key for key in unknown if isinstance(parameter[key], Mapping)]
        fix = "write nested parameters below 'parameters:'" if nested else ""
        raise LrrayError(
            where,
            f"unknown key {str(unknown[0])!r}",
            fix=fix or did_you_mean(str(unknown[0]), _KEYS),
        )
    if not parameter.keys() & {"value", "values", "distribution", "min", "max"}:
        raise LrrayError(
            where, "says nothing to draw", got=dict(parameter), fix="values: [a, b], or min and max"
        )
    if parameter.keys() & {"min", "max"} and not {"min", "max"} <= parameter.keys():
        raise LrrayError(where, "needs both min and max", got=dict(parameter), fix="add the other")
    values = parameter.get("values", [None])
    if not isinstance(values, list) or not values:
        raise LrrayError(f"{where}.values", "must be a list", got=values, fix="values: [a, b]")
    told = [name for name in ("value", "values", "min") if name in parameter]
    if len(told) > 1:
        rule = f"{told[0]!r} must not stand beside {told[1]!r}"
        raise LrrayError(where, rule, got=dict(parameter), fix="leave one of them out")
    name = parameter.get("distribution", "constant")
    if name not in _WANDBS:
        raise LrrayError(
            f"{where}.distribution", "must be one of W&B's", got=name,
            fix=did_you_mean(str(name), _WANDBS),
        )  # fmt: skip


def from_parameter(parameter: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """One key of a sweep's ``parameters`` as the plain data of a range.

    Returns:
        None where nothing in lrray draws values like that.

    Raises:
        LrrayError: the parameter is not one that W&B would take.
    """
    if "values" in parameter:
        plain = set(parameter) <= {"values", "distribution"}
        return {"distribution": "choice", "values": parameter["values"]} if plain else None
    low, high = _bounds(parameter, where)
    name = parameter.get("distribution") or _implied(low, high)
    if name == "log_uniform" and low is not None and high is not None:
        # Its bounds are natural logarithms of the values.
        values = [
            _exponential(bound, f"{where}.{end}") for end, bound in (("min", low), ("max", high))
        ]
        return {"distribution": "log_uniform", "low": values[0], "high": values[1]}
    step = parameter.get("q", 1)
    if name not in _FROM_WANDB or low is None or high is None or step != 1:
        return None
    return {"distribution": _FROM_WANDB[name], "low": low, "high": high}


def _bounds(parameter: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    bounds = parameter.get("min"), parameter.get("max")
    for name, bound in zip(("min", "max"), bounds, strict=True):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float)):
            fix = f"write {_meant(bound)}"
            raise LrrayError(f"{where}.{name}", "must be a number", got=bound, fix=fix)
    return bounds


def _meant(bound: Any) -> str:
    """The number that YAML 1.1 takes for text, as it takes it for one."""
    try:
        return repr(float(bound))
    except (TypeError, ValueError):
        return "0.0001"


def _exponential(bound: float, where: str) -> float:
    try:
        return math.exp(bound)
    except OverflowError:
        raise LrrayError(
            where, "is the natural logarithm of the bound, as W&B has it for log_uniform",
            got=bound, fix="distribution: log_uniform_values",
        ) from None  # fmt: skip


def _implied(low: Any, high: Any) -> str:
    """W&B's rule for bounds without a distribution."""
    return "int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"


def flatten(parameters: Any, where: str, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Dotted name and content of every parameter, nested ``parameters:`` resolved.

    Raises:
        LrrayError: something there is not a mapping.
    """
    if not isinstance(parameters, Mapping) or not parameters:
        at = f"{where}.{path}" if path else where
        raise LrrayError(
            at, "must be a mapping of parameters", got=parameters, fix="lr: {values: [0.1, 0.2]}"
        )
    for key, content in parameters.items():
        if not isinstance(key, str) or not all(key.split(".")):
            raise LrrayError(where, "names must be text", got=key, fix=f"write '{key}' in quotes")
        name = f"{path}.{key}" if path else key
        if not isinstance(content, Mapping):
            raise LrrayError(
                f"{where}.{name}", "must be a mapping", got=content, fix=f"{key}: {{value: …}}"
            )
        if "parameters" in content:
            beside = [str(key) for key in content if key != "parameters"]
            if beside:
                raise LrrayError(
                    f"{where}.{name}", f"{beside[0]!r} must not stand beside 'parameters'",
                    fix="write it below 'parameters:'",
                )  # fmt: skip
            yield from flatten(content["parameters"], where, name)
        else:
            yield name, content


def read_value(range_: Range, word: str, where: str) -> Any:
    """The value that an agent wrote as ``word``.

    Raises:
        LrrayError: it is none of the range.
    """
    if range_.values is not None:
        for value in range_.values:
            if str(value) == word:
                return value
        raise LrrayError(where, "must be one of the choices", got=word, fix=f"{range_.values}")
    try:
        number = float(word)
    except ValueError:
        raise LrrayError(where, "must be a number", got=word, fix=f"e.g. {range_.low}") from None
    return int(number) if range_.distribution.startswith("int") else number
