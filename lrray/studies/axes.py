"""Axes of a grid as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lrray.text import short


def axis_name(path: str) -> str:
    """An axis in a word: ``hidden_size`` for ``model.hidden_size``."""
    return path.rpartition(".")[2]


def axes_named(name: str, axes: Iterable[str]) -> list[str]:
    """The axis of this name, else those whose last word it is."""
    known = list(axes)
    return [name] if name in known else [axis for axis in known if axis_name(axis) == name]


def axes_text(axes: Mapping[str, Any]) -> str:
    """``model.hidden_size=8 seed=0``."""
    return " ".join(f"{name}={value}" for name, value in axes.items())


def axes_label(axes: Mapping[str, Any]) -> str:
    """The same in short words and to four digits: ``hidden_size=8 seed=0``."""
    return " ".join(f"{axis_name(name)}={short(value)}" for name, value in axes.items())
