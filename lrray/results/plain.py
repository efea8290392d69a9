"""What a cell returns, as plain data: the border between users' code and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

_DEEPEST = 20
"""Levels of mappings and lists in a result: more is a structure that holds itself."""

_LONGEST = 300
"""Characters of a reason."""


@runtime_checkable
class _Scalar(Protocol):
    """A number of NumPy, torch or JAX, or an array of theirs."""

    def item(self) -> Any:
        """The only value of it as a number of Python's; raises where there are several."""


def plain_result(result: Mapping[Any, Any]) -> dict[str, Any]:
    """A cell's result as mappings, lists, text, finite numbers, booleans and None.

    Numbers of NumPy, torch and JAX and arrays of one value become Python's, as do ``Decimal`` and
    ``Fraction``. An undefined standard error (a name that ends in ``_se``) becomes None.

    Raises:
        ValueError: a number is not finite or beyond floats, or text cannot be written; names its
            key.
        TypeError: a value is of another type; names its key.
    """
    return _mapping(result, "", 0)


def _mapping(data: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in data.items():
        name = _text(str(key), path, "has a key that")
        own = f"{path}.{name}" if path else name
        if name in plain:
            raise _refused("", f"has two values under {own}")
        plain[name] = _plain(value, own, depth)
    return plain


def _plain(value: Any, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise _refused(path, f"is nested more than {_DEEPEST} levels deep")
    if isinstance(value, _Scalar):
        value = _item(value, path)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal | Fraction):
        return _number(value, path)
    if isinstance(value, str):
        return _text(value, path, "")
    if isinstance(value, Mapping):
        return _mapping(value, path, depth + 1)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    kind = type(value).__name__
    rule = f"is of type {kind}; it must be a number, text, a list or a mapping"
    raise TypeError(str(_refused(path, rule)))


def _item(value: _Scalar, path: str) -> Any:
    try:
        return value.item()
    except (ValueError, RuntimeError, TypeError):
        rule = "holds several values; it must be one number (fix: .tolist())"
        raise _refused(path, rule) from None


def _number(value: int | float | Decimal | Fraction, path: str) -> int | float | None:
    try:
        number = float(value)
    except OverflowError:
        raise _refused(path, "is beyond what a float can hold") from None
    if math.isfinite(number):
        return int(value) if isinstance(value, int) else number
    if path.endswith("_se"):  # undefined for a single seed
        return None
    raise _refused(path, f"is {number}: the computation diverged")


def _text(text: str, path: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused(path, f"{what} is text that cannot be written as UTF-8: {text!a}") from None
    return str(text)


def _refused(path: str, rule: str) -> ValueError:
    """One line, whatever stands in keys and values."""
    line = " ".join((f"the result's {path} {rule}" if path else f"the result {rule}").split())
    return ValueError(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…")
