"""Search spaces: which settings a search varies, over which range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, RootModel, model_validator

from lrray.config import Problem, Settings

if TYPE_CHECKING:  # Optuna loads where a study searches
    from optuna.distributions import BaseDistribution

Finite = Annotated[float, Field(allow_inf_nan=False)]


_LARGEST_INT = 2**53
"""Above it not every whole number is a float, which samplers compute with."""


def _checked_options(values: Any) -> Any:
    """What Optuna can choose among; a list of lists would be four errors of pydantic's a value."""
    for i, value in enumerate(values if isinstance(values, list | tuple) else ()):
        if not isinstance(value, str | int | float | bool | None):
            raise Problem(
                f"option {i} must be text, a number, true, false or null", got=value,
                fix="name the options, and look up in your code what each name stands for",
            )  # fmt: skip
        if isinstance(value, float) and not math.isfinite(value):
            raise Problem(f"option {i} must be a finite number", got=value, fix="leave it out")
    return values


Options = Annotated[tuple[str | int | float | bool | None, ...], BeforeValidator(_checked_options)]


class Range(Settings):
    """The values one setting may take."""

    distribution: Literal["log_uniform", "uniform", "int_uniform", "int_log_uniform", "choice"]
    """How values are spread."""
    low: Finite | None = None
    """Smallest value (not for ``choice``)."""
    high: Finite | None = None
    """Largest value (not for ``choice``)."""
    values: Options | None = None
    """The options of a ``choice``."""

    @model_validator(mode="after")
    def _check(self) -> Range:
        if self.distribution == "choice":
            if not self.values or self.low is not None or self.high is not None:
                raise Problem("a choice needs 'values' and no bounds", fix="values: [a, b]")
            self._check_distinct(self.values)
            return self
        if self.low is None or self.high is None or self.values is not None:
            raise Problem("a range needs 'low' and 'high' and no values", fix="low: 0.1, high: 1")
        if not self.low < self.high:
            raise Problem("low < high must hold", at="low", got=self.low, fix="swap the bounds")
        if "log" in self.distribution and self.low <= 0:
            raise Problem("a logarithmic range must be above 0", at="low", got=self.low)
        if self.distribution.startswith("int") and not (self.low % 1 == 0 == self.high % 1):
            raise Problem("an integer range needs integer bounds", at="low", got=self.low)
        if self.distribution.startswith("int") and max(-self.low, self.high) > _LARGEST_INT:
            raise Problem(f"an integer's bounds must be within {_LARGEST_INT}", got=self.high)
        return self

    @staticmethod
    def _check_distinct(values: tuple[Any, ...]) -> None:
        """For Optuna equal options are one, and so are 1, 1.0 and true."""
        for i, value in enumerate(values):
            if any(value == other for other in values[:i]):
                raise Problem("options must be distinct", at="values", got=list(values))

    @property
    def first(self) -> str | int | float | bool | None:
        """Its lowest value, or the first option."""
        if self.values is not None:
            return self.values[0]
        assert self.low is not None
        return int(self.low) if "int" in self.distribution else self.low

    def some_values(self) -> list[Any]:
        """The options of a choice; else both ends."""
        if self.values is not None:
            return list(self.values)
        assert self.low is not None
        assert self.high is not None
        number = int if self.distribution.startswith("int") else float
        return [number(self.low), number(self.high)]

    def to_optuna(self) -> BaseDistribution:
        """The same range in Optuna's terms."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.values is not None:
            return CategoricalDistribution(self.values)
        assert self.low is not None
        assert self.high is not None
        log = "log" in self.distribution
        if self.distribution.startswith("int"):
            return IntDistribution(int(self.low), int(self.high), log=log)
        return FloatDistribution(self.low, self.high, log=log)


class SearchSpace(RootModel[Annotated[dict[str, Range], Field(min_length=1)]]):
    """Setting name -> range."""

    def to_optuna(self) -> dict[str, BaseDistribution]:
        """The same space in Optuna's terms."""
        return {name: range_.to_optuna() for name, range_ in self.root.items()}

    def __getitem__(self, name: str) -> Range:
        return self.root[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain data that reads back equal."""
        return self.model_dump(mode="json", exclude_none=True)
