"""Names by which a country or city goes beside its usual one, shared by all facts files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from lrray.config import load_yaml

_FILE = Path(__file__).with_name("place_names.yaml")


@cache
def _table() -> dict[str, Any]:
    return load_yaml(_FILE)


def other_names(category: str, name: str) -> tuple[str, ...]:
    """Other right answers where ``name`` is one: ``("country", "France")`` has ``()``."""
    return tuple(_table().get(category, {}).get(name, ()))
