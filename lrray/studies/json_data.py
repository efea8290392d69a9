"""Settings as plain data: what a study's file may hold, so that it reaches its cells unchanged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lrray.config import key_path
from lrray.errors import LrrayError


def refuse_what_json_has_not(data: Any, where: str, path: tuple[object, ...] = ()) -> None:
    """A cell's settings are JSON: what that has not would become something else on its way.

    That is infinity and NaN, numbers beyond floats, dates, sets and bytes, keys that are no text,
    and text that is no UTF-8.

    Raises:
        LrrayError: where such a thing stands.
    """
    at = f"{where}: {key_path(path)}" if path else where
    if isinstance(data, Mapping):
        for key, value in data.items():
            if not isinstance(key, str):
                fix = f"write '{key}' in quotes"
                raise LrrayError(at, "a key must be text", got=key, fix=fix)
            refuse_what_json_has_not(key, at)
            refuse_what_json_has_not(value, where, (*path, key))
    elif isinstance(data, list | tuple):
        for i, value in enumerate(data):
            refuse_what_json_has_not(value, where, (*path, i))
    elif isinstance(data, str):
        if not _is_utf8(data):
            raise LrrayError(at, "is text that cannot be written as UTF-8", got=data, fix="mend it")
    elif isinstance(data, int | float):
        if not _is_finite(data):
            raise LrrayError(at, "must be a finite number", got=data, fix="write e.g. 0.1")
    elif data is not None:
        rule = "must be a number, text, true, false, null, a list or a mapping"
        raise LrrayError(at, rule, got=data, fix="put it in quotes")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond floats
        return False
