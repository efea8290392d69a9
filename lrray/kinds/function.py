"""Kind ``function``: a Python function of your own, run over a grid or searched.

::

    kind: function
    function: my_experiments:measure
    settings: {rate: 0.1, steps: 100}
    grid:
      settings.rate: [0.1, 0.2]
      seed: {start: 0, stop: 5}

The function is called with the settings by name, with ``seed`` where it takes one, and with
``context`` (:class:`lrray.studies.kind.CellContext`) where it takes that. It returns numbers by
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isgeneratorfunction
from typing import Any, Literal

from pydantic import Field, model_validator

from lrray.config import Problem
from lrray.errors import shorten
from lrray.references import call_arguments, load_reference, user_modules
from lrray.studies.kind import CellContext, Kind
from lrray.studies.schema import CellStudy


class Study(CellStudy):
    """A study of a function of the user's."""

    kind: Literal["function"]
    function: str
    """``module:name``; the module is found in the working folder or among installed ones."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the function, by name."""

    @model_validator(mode="after")
    def _takes_the_settings(self) -> Study:
        function = load_reference(self.function, at="function")
        _check_kind_of(function, self.function)
        for name in ("seed", "context"):
            if name in self.settings or name in self._searched():
                fix = "seed, beside settings" if name == "seed" else "leave it out"
                raise Problem(f"{name!r} is given by lrray", at=f"settings.{name}", fix=fix)
        offered = dict.fromkeys(("seed", "context", *self._searched()))
        call_arguments(function, self.function, self.settings, offered, at="settings")
        return self

    def _searched(self) -> list[str]:
        space = self.search_space
        names = () if space is None else space.root
        return [name.split(".")[1] for name in names if name.startswith("settings.")]

    def user_modules(self) -> tuple[str, ...]:
        """The function's."""
        return user_modules([self.function])


def _check_kind_of(function: Any, name: str) -> None:
    """Refuses what gives no numbers when it is called.

    Raises:
        Problem: it is a coroutine, a generator or a class.
    """
    kinds = {
        "a coroutine": iscoroutinefunction(function),
        "a generator": isgeneratorfunction(function) or isasyncgenfunction(function),
        "a class": isclass(function) and not issubclass(function, Mapping),
    }
    for kind, is_one in kinds.items():
        if is_one:
            fix = "name a function that returns numbers by name"
            raise Problem(f"{name} is {kind}", at="function", fix=fix)


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Calls the function."""
    function = load_reference(settings["function"])
    offered = {"seed": settings["seed"], "context": context}
    name, given = settings["function"], settings["settings"]
    result = function(**call_arguments(function, name, given, offered))
    if not isinstance(result, Mapping):
        kind = type(result).__name__
        got = " ".join(shorten(result).split())
        raise TypeError(f"{name} must return a mapping, but returned {got}, of type {kind}")
    return dict(result)


KIND = Kind(Study=Study, run_cell=run_cell, results_version=1)
