"""Settings that take the best value of an earlier run, each condition its own.

::

    train:
      learning_rate: {best_of: results/latents_lr, by: [pair]}

They are looked up when the study is loaded: its points, cells and their identities hold plain
values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lrray.config import Problem, Settings, get_key, parse, set_key
from lrray.errors import LrrayError
from lrray.studies.axes import axes_label
from lrray.text import short

_FINDER = "lrray.results.tuned", "best_values"
"""Reads runs, which this package knows nothing of; loaded where a study refers to one."""

_MISSING = object()


class BestOf(Settings):
    """Where a setting's value comes from."""

    best_of: Annotated[str, Field(min_length=1)]
    """A run, or a study for its newest run: folder, id or tag."""
    by: tuple[str, ...] = ()
    """Axes of that run whose values are the conditions, in full or by their last word."""
    metric: str | None = None
    """The number that is judged; None: what the run's search judged."""
    mode: Literal["min", "max"] | None = None
    """Whether that is to be small or large; None: as the run's search has it, else small."""
    found: Any = None
    """What an earlier look-up found, as a run's ``study.yaml`` says it; looked up anew."""

    @field_validator("by")
    @classmethod
    def _not_by_seed(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        if "seed" in by:
            raise Problem(
                "must not name the seed: its best value would be chosen by its own noise",
                got=list(by), fix="leave it out; values are judged by their means over seeds",
            )  # fmt: skip
        return by


@dataclass(frozen=True)
class BestValue:
    """The best value of one condition."""

    condition: Mapping[str, Any]
    """Axis -> value."""
    value: Any
    mean: float
    """Of the metric, over the seeds there."""
    num_cells: int


@dataclass(frozen=True)
class Tuned:
    """A setting with what was found for it."""

    key: str
    """Its key path."""
    asked: BestOf
    """With its run, axes, metric and mode in full."""
    values: Sequence[BestValue]

    def filled(self, data: dict[str, Any], where: str) -> dict[str, Any]:
        """Raw settings of a grid point with the value of its condition.

        Raises:
            LrrayError: they do not say which condition it is, or the run has no best for it.
        """
        if not is_reference(get_key(data, self.key)):  # an axis of the grid took its place
            return data
        condition = {}
        for axis in self.asked.by:
            condition[axis] = get_key(data, axis, _MISSING)
            if condition[axis] is _MISSING:
                raise LrrayError(
                    f"{where}: {self.key}.by", "must name settings that this study gives", got=axis,
                    fix=f"write {axis}: …, or make it an axis of the grid",
                )  # fmt: skip
        for best in self.values:
            if best.condition == condition:
                return set_key(data, self.key, best.value, where)
        have = "; ".join(axes_label(best.condition) for best in self.values)
        raise LrrayError(
            f"{where}: {self.key}",
            f"{self.asked.best_of} has no finished cells with {axes_label(condition)}",
            fix=f"it has {have}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a run's ``study.yaml``: where the values come from, and what they are."""
        found = [
            {**best.condition, "value": best.value, str(self.asked.metric): best.mean,
             "cells": best.num_cells}
            for best in self.values
        ]  # fmt: skip
        return {**self.asked.model_dump(mode="json", exclude={"found"}), "found": found}

    def in_words(self) -> str:
        """``0.003 (pair=easy_to_infer), …: best excess_bits of results/latents_lr/…``."""
        values = ", ".join(
            f"{short(best.value)} ({axes_label(best.condition)})" if best.condition
            else short(best.value)
            for best in self.values
        )  # fmt: skip
        judged = "smallest" if self.asked.mode == "min" else "largest"
        return f"{values}: {judged} {self.asked.metric} of {self.asked.best_of}"


def is_reference(value: Any) -> bool:
    """Whether a setting takes the best value of a run."""
    names = set(BestOf.model_fields)
    return isinstance(value, Mapping) and "best_of" in value and set(value) <= names


def references(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Key path and content of every setting in raw data that takes the best value of a run."""
    for key, value in data.items():
        name = f"{path}.{key}" if path else str(key)
        if is_reference(value):
            yield name, value
        elif isinstance(value, Mapping):
            yield from references(value, name)


def look_up(data: Mapping[str, Any], where: str) -> list[Tuned]:
    """What runs say of the settings that refer to them.

    Args:
        data: the raw study.
        where: opens error lines, usually the file.

    Raises:
        LrrayError: a reference is no sound one, or its run has no answer.
    """
    found = []
    for key, value in references(data):
        asked = parse(BestOf, value, f"{where}: {key}")
        module, name = _FINDER
        best_values: Callable[[BestOf, str, str], Tuned] = getattr(import_module(module), name)
        found.append(best_values(asked, key, f"{where}: {key}"))
    return found
