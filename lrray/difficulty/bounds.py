"""The rectangle of alphas that a search of a contour looks through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """The searched rectangle of alphas, both axes logarithmic."""

    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def span(self) -> Points:
        """``[2]``: sides of the rectangle in natural-log units of alpha."""
        span: Points = np.log(self.high) - np.log(self.low)
        return span

    def to_unit(self, points: Points) -> Points:
        """Alphas to the unit square."""
        low, high = np.log(self.low), np.log(self.high)
        unit: Points = (np.log(points) - low) / (high - low)
        return unit

    def from_unit(self, unit: Points) -> Points:
        """Unit square to alphas; its edges give the bounds to the last digit."""
        low, high = np.log(self.low), np.log(self.high)
        inside = np.clip(np.exp(low + unit * (high - low)), self.low, self.high)
        return np.where(unit <= 0, self.low, np.where(unit >= 1, self.high, inside))
