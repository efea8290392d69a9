"""Matched pairs against each other: each may meet the target and yet differ from the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrray.kinds.difficulty.draws import BOUND, INFORMATION
from lrray.kinds.difficulty.matching import Pair
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.statistics import Equivalence, Summary, summarize, unpaired_difference
from lrray.statistics import equivalence as paired_equivalence
from lrray.studies.axes import axes_label
from lrray.studies.grid import GridPoint
from lrray.text import difference_in_words, equivalence_in_words


@dataclass(frozen=True)
class Difference:
    """One pair minus another one, in something that was matched."""

    axes: Mapping[str, Any]
    """Of their grid point."""
    first: str
    second: str
    metric: str
    difference: Summary
    margin: float
    """Largest difference that counts as none."""
    p_equivalent: float
    """Of the test that they differ by more (TOST)."""

    def to_row(self) -> dict[str, Any]:
        """Plain data for ``summary.json``."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Difference:
        """Reads it back; a single kernel draw has no error."""
        known: dict[str, Any] = row["difference"]
        filled = {k: float("nan") if v is None else v for k, v in known.items() if k != "n"}
        return cls(**{**row, "difference": Summary(n=known["n"], **filled)})

    @property
    def in_words(self) -> str:
        """The difference, and whether it is shown to be within the margin."""
        where = f" ({axes_label(self.axes)})" if self.axes else ""
        first, second = (name.replace("_", "-") for name in (self.first, self.second))
        number = difference_in_words(self.difference)
        head = f"{first} minus {second}{where}, {self.metric}: {number}"
        if self.difference.n < 2:
            return f"{head}."
        tested = Equivalence(self.margin, self.p_equivalent)
        return f"{head}; {equivalence_in_words(tested)}."


def differences(pairs: Sequence[Pair], point: GridPoint) -> list[Difference]:
    """Each further pair minus the first, in the target's metric and, of single draws, information.

    The margin is the target's tolerance, or the window of ``match: per_draw``. Pairs of each
    seed's own graph are compared seed by seed; others as independent samples of kernel draws,
    which is cautious where they were measured on the same.
    """
    study: DifficultyStudy = point.study
    per_draw = study.match == "per_draw"
    metrics = (BOUND, INFORMATION) if per_draw else (study.target.metric,)
    margin = study.pairs.window_bits if per_draw else study.target.tolerance
    names = list(dict.fromkeys(pair.name for pair in pairs))
    found = []
    for second in names[1:]:
        for metric in metrics:
            a, b = (_values(pairs, name, metric) for name in (names[0], second))
            difference, tested = _compared(a, b, margin, paired=study.match == "per_seed")
            found.append(
                Difference(
                    dict(point.axes), names[0], second, metric, difference, margin, tested.p_value
                )
            )
    return found


def _values(pairs: Sequence[Pair], name: str, metric: str) -> NDArray[np.float64]:
    """``[kernel draws]`` of all pairs of a name."""
    return np.concatenate([pair.measured[metric] for pair in pairs if pair.name == name])


def _compared(
    a: NDArray[np.float64], b: NDArray[np.float64], margin: float, paired: bool
) -> tuple[Summary, Equivalence]:
    if paired and len(a) == len(b):
        return summarize(a - b), paired_equivalence(a - b, margin)
    return unpaired_difference(a, b, margin)
