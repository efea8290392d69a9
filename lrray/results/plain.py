"""What a cell returns, as plain data: the border between users' code and files."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any, Protocol, runtime_checkable

from lrray.errors import shorten

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


def plain_point(point: Mapping[Any, Any]) -> dict[str, Any]:
    """A point of a cell's curves as plain data; NaN and infinity, which tell of it, stay.

    Raises:
        ValueError, TypeError: as :func:`plain_result`; the step is no finite number.
    """
    if not isinstance(point, Mapping):
        raise TypeError(f"a point of a curve must be a mapping, but got {shorten(point)}")
    plain = {}
    for key, value in point.items():
        name = _text(_key(key, ""), "", "has a key that")
        if name in plain:
            raise _refused("", f"has two values under {name}")
        plain[name] = _of_point(value, name)
    step = plain.get("step", 0)
    if isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step):
        raise ValueError(f"a point's step must be a finite number, but got {shorten(step)}")
    return plain


def _of_point(value: Any, name: str) -> Any:
    if isinstance(value, _Scalar):
        value = _item(value, name)
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return float(value)
    return _plain(value, name, 0)


def _mapping(data: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in data.items():
        name = _text(_key(key, path), path, "has a key that")
        own = f"{path}.{name}" if path else name
        if name in plain:
            raise _refused("", f"has two values under {own}")
        plain[name] = _plain(value, own, depth)
    return plain


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return key
    try:
        return str(key)
    except Exception:  # its class may do anything
        raise _refused(path, f"has a key of type {type(key).__name__} without a text") from None


def _plain(value: Any, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise _refused(path, f"is nested more than {_DEEPEST} levels deep")
    if isinstance(value, _Scalar):
        value = _item(value, path)
        if value is None:  # NaT, which is to times what NaN is to numbers
            raise _refused(path, "is no time")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal | Fraction | Real):
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
        masked = "numpy.ma" in sys.modules and sys.modules["numpy.ma"].is_masked(value)
        one = value.item()
    except (ValueError, RuntimeError, TypeError):
        rule = "holds no value or several; it must be one number (fix: .tolist())"
        raise _refused(path, rule) from None
    if masked:  # what lies under the mask is anything
        raise _refused(path, "is masked: it has no value")
    return one


def _number(value: Any, path: str) -> int | float | None:
    try:
        number = float(value)
    except ValueError:  # Decimal's signalling NaN
        number = math.nan
    except OverflowError:
        raise _refused(path, "is beyond what a float can hold") from None
    if math.isfinite(number):
        return int(value) if isinstance(value, int) else number
    if path.endswith("_se"):  # undefined for a single seed
        return None
    raise _refused(path, f"is {number}: the computation diverged")


def _text(text: str, path: str, what: str) -> str:
    try:
        str.encode(text)
    except UnicodeEncodeError:
        raise _refused(path, f"{what} is text that cannot be written as UTF-8: {text!a}") from None
    return str.__str__(text)  # of an enumeration's member its value


def _refused(path: str, rule: str) -> ValueError:
    """One line, whatever stands in keys and values."""
    line = " ".join((f"the result's {path} {rule}" if path else f"the result {rule}").split())
    return ValueError(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…")
