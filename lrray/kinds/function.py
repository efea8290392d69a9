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

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from lrray.config import Problem
from lrray.errors import did_you_mean
from lrray.references import load_reference, user_modules
from lrray.studies.kind import CellContext
from lrray.studies.schema import CellStudy

CODE: tuple[str, ...] = ()


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
        parameters = inspect.signature(function).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return self
        for name in self.settings:
            if name not in parameters:
                fix = did_you_mean(name, parameters)
                raise Problem(f"{self.function} takes no {name!r}", at="settings", fix=fix)
        given = {*self.settings, "seed", "context", *self._searched()}
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name not in given:
                raise Problem(f"{self.function} needs {name!r}", at="settings", fix=f"{name}: …")
        return self

    def _searched(self) -> list[str]:
        space = self.search_space
        return [] if space is None else [name.removeprefix("settings.") for name in space.root]

    def code(self) -> tuple[str, ...]:
        """Modules that the result depends on."""
        return user_modules([self.function])


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Calls the function."""
    function = load_reference(settings["function"])
    parameters = inspect.signature(function).parameters
    arguments = dict(settings["settings"])
    for name, value in (("seed", settings["seed"]), ("context", context)):
        if name in parameters:
            arguments[name] = value
    result = function(**arguments)
    if not isinstance(result, Mapping):
        raise TypeError(f"{settings['function']} must return a mapping, but returned {result!r}")
    return dict(result)
