"""JSON of files that others may have written: whatever it holds, it is data or a ``ValueError``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lrray.files import read_file

MOST_LEVELS = 60
"""Levels of lists and mappings; what walks through data calls itself for each of them."""


def parse_json(content: bytes | str) -> Any:
    """Plain data: nothing nested too deep, no number beyond floats, no text that is no UTF-8.

    NaN and infinity, which Python writes and curves may hold, are read as they are.

    Raises:
        ValueError: it is not JSON, or not such data.
    """
    content = content.encode() if isinstance(content, str) else content
    try:
        data = json.loads(content, parse_int=_integer)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    # What cannot be nested deeper than there are brackets needs no walk.
    if content.count(b"[") + content.count(b"{") > MOST_LEVELS:
        _refuse_deep(data)
    if b"\\ud" in content.lower():  # half of a pair can be read, and never be written
        json.dumps(data, ensure_ascii=False).encode()
    return data


def read_json(path: Path) -> Any:
    """The same from a file.

    Raises:
        OSError: there is none, or it cannot be read, or is no file at all.
        ValueError: as :func:`parse_json`.
    """
    return parse_json(read_file(path))


def _integer(text: str) -> int:
    """A whole number that is one of a float's as well: figures and means take floats."""
    number = int(text)
    if len(text) > 300:
        try:
            float(number)
        except OverflowError:
            raise ValueError("holds a number beyond floats") from None
    return number


def _refuse_deep(data: Any) -> None:
    level = [data]
    for _ in range(MOST_LEVELS + 1):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return
    raise ValueError("is nested too deep")


def _inner(data: Any) -> Iterable[Any]:
    if isinstance(data, dict):
        return data.values()
    return data if isinstance(data, list) else ()
