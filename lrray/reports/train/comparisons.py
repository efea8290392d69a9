"""Pairs of equal difficulty, compared seed by seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lrray.results.groups import GRAPH_SEED, Group, label, varying
from lrray.results.tables import SEED
from lrray.statistics import PairedDifference, Summary, holm, paired_difference, summarize
from lrray.studies.cell import digest

PAIR = "pair"
METRIC = "excess_bits"
ENDS = ("easy_to_infer", "easy_to_predict")
"""The pairs that the question is about."""


@dataclass(frozen=True)
class Comparison:
    """The two pairs of one setting: ``first`` minus ``second``, seed by seed."""

    axes: dict[str, Any]
    first: str
    second: str
    of_first: Summary
    of_second: Summary
    result: PairedDifference
    p_adjusted: float
    """After Holm, over all comparisons of the run."""

    @property
    def in_words(self) -> str:
        """The difference with its interval, n and p."""
        difference = self.result.difference
        where = f"{label(self.axes)}: " if self.axes else ""
        if difference.n < 2:
            return f"{where}{difference.mean:+.3f} bits/token (one seed, no interval)"
        return (
            f"{where}{difference.mean:+.3f} bits/token "
            f"(95 % interval {difference.low:+.3f} to {difference.high:+.3f}, n = {difference.n} "
            f"seeds, permutation p = {self.result.p_value:.2g}, {self.p_adjusted:.2g} after Holm)"
        )


def comparisons(groups: list[Group], tuned: Collection[str] = ()) -> list[Comparison]:
    """Two pairs, see :func:`compared_pairs`, at every setting that has finished cells of both.

    Args:
        groups: of finished cells.
        tuned: key paths of settings that each pair has the best value of, which may differ.
    """
    names = compared_pairs(groups)
    if len(names) < 2:
        return []
    first, second = names
    settings: dict[str, dict[str, Group]] = {}
    for group in groups:
        settings.setdefault(_around_pair(group, tuned), {})[group.axes.get(PAIR, "")] = group
    found = []
    for both in settings.values():
        if first in both and second in both:
            one, other = _by_seed(both[first]), _by_seed(both[second])
            seeds = sorted(seed for seed in one if seed in other)
            if seeds:
                a, b = [one[s] for s in seeds], [other[s] for s in seeds]
                found.append((both[first], a, b, paired_difference(a, b)))
    return _adjusted(found, first, second, varying(groups))


def compared_pairs(groups: list[Group]) -> list[str]:
    """The two ends of the contour where both are there, else the first two pairs by name."""
    names = pair_names(groups)
    return list(ENDS) if set(ENDS) <= set(names) else names[:2]


def pair_names(groups: list[Group]) -> list[str]:
    """The pairs that have finished cells."""
    return sorted({str(group.axes[PAIR]) for group in groups if PAIR in group.axes})


def _adjusted(
    found: list[tuple[Group, list[float], list[float], PairedDifference]],
    first: str,
    second: str,
    axes: dict[str, list[Any]],
) -> list[Comparison]:
    p_values = holm([result.p_value for *_, result in found])
    return [
        Comparison(
            axes={k: v for k, v in _without_pair(group).items() if k in axes},
            first=first, second=second, of_first=summarize(a), of_second=summarize(b),
            result=result, p_adjusted=p,
        )
        for (group, a, b, result), p in zip(found, p_values, strict=True)
    ]  # fmt: skip


_OF_PAIR = (SEED, PAIR, GRAPH_SEED, "graph")
"""Settings that a pair brings along, and the seed."""


def _around_pair(group: Group, tuned: Collection[str]) -> str:
    """What two groups have in common that differ in their pair alone."""
    record = group.records[0]
    settings: Mapping[str, Any] = {k: v for k, v in record.settings.items() if k not in _OF_PAIR}
    for path in tuned:
        settings = without(settings, path)
    return digest([_without_pair(group), settings])


def without(settings: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Settings but for the one at a key path."""
    key, _, rest = path.partition(".")
    inner = settings.get(key)
    if rest and isinstance(inner, Mapping):
        return {**settings, key: without(inner, rest)}
    return {name: value for name, value in settings.items() if name != key}


def _without_pair(group: Group) -> dict[str, Any]:
    return {name: value for name, value in group.axes.items() if name != PAIR}


def _by_seed(group: Group) -> dict[Any, float]:
    return {
        record.settings[SEED]: float(record.result[METRIC])
        for record in group.records
        if METRIC in record.result and not isinstance(record.settings[SEED], list)
    }


def spoken(name: str) -> str:
    """A pair's name as in running text."""
    return name.replace("_", "-")
