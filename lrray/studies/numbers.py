"""Numbers in nested results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def numbers_in(
    data: Mapping[str, Any], joined_by: str = ".", path: str = ""
) -> Iterator[tuple[str, float]]:
    """Joined names and values of the numbers; whatever is no number is left out."""
    for key, value in data.items():
        name = f"{path}{joined_by}{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from numbers_in(value, joined_by, name)
        elif isinstance(value, int | float):
            yield name, value
