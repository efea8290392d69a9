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
from typing import Any, Literal

from pydantic import Field, model_validator

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
        offered = dict.fromkeys(("seed", "context", *self._searched()))
        call_arguments(function, self.function, self.settings, offered, at="settings")
        return self

    def _searched(self) -> list[str]:
        space = self.search_space
        return [] if space is None else [name.removeprefix("settings.") for name in space.root]

    def user_modules(self) -> tuple[str, ...]:
        """The function's."""
        return user_modules([self.function])


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Calls the function."""
    function = load_reference(settings["function"])
    offered = {"seed": settings["seed"], "context": context}
    name, given = settings["function"], settings["settings"]
    result = function(**call_arguments(function, name, given, offered))
    if not isinstance(result, Mapping):
        raise TypeError(f"{name} must return a mapping, but returned {result!r}")
    return dict(result)


KIND = Kind(Study=Study, run_cell=run_cell, results_version=1)
