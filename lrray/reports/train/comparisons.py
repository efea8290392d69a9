"""Pairs of equal difficulty, compared seed by seed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrray.results.groups import GRAPH_SEED, Group, label, varying
from lrray.results.tables import SEED
from lrray.statistics import (
    Equivalence,
    PairedDifference,
    Summary,
    equivalence,
    holm,
    paired_difference,
    summarize,
)
from lrray.studies.cell import digest
from lrray.text import difference_in_words, equivalence_in_words

PAIR = "pair"
METRIC = "excess_bits"
ENDS = ("easy_to_infer", "easy_to_predict")
"""The pairs that the question is about."""

_RANKS = {ENDS[0]: 0, ENDS[1]: 2}


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
    equivalence: Equivalence | None = None
    """Where the study states a margin."""

    @property
    def in_words(self) -> str:
        """The difference with its interval, n and p."""
        difference = self.result.difference
        where = f"{label(self.axes)}: " if self.axes else ""
        told = difference_in_words(difference, "bits/token")
        if difference.n < 2:
            return f"{where}{told}"
        return (
            f"{where}{told[:-1]}, n = {difference.n} seeds, permutation p = "
            f"{self.result.p_value:.2g}, {self.p_adjusted:.2g} after Holm{self._equivalent()})"
        )

    def _equivalent(self) -> str:
        if self.equivalence is None:
            return ""
        return f"; {equivalence_in_words(self.equivalence, 'bits/token')}"


def comparisons(
    groups: list[Group], tuned: Collection[str] = (), margin: float | None = None
) -> list[Comparison]:
    """The first pair against each other one, at every setting that has finished cells of both.

    Pairs are in the order of :func:`pair_names`; the two ends are compared first.

    Args:
        groups: of finished cells.
        tuned: key paths of settings that each pair has the best value of, which may differ.
        margin: largest difference that counts as none (bits per token); None: not tested.
    """
    names, settings = pair_names(groups), settings_with_pairs(groups, tuned)
    found = []
    for second in names[:0:-1]:  # from the other end inwards
        for axes, own in settings:
            if names[0] in own and second in own:
                one, other = by_seed(own[names[0]], METRIC), by_seed(own[second], METRIC)
                seeds = sorted(seed for seed in one if seed in other)
                if seeds:
                    a, b = [one[s] for s in seeds], [other[s] for s in seeds]
                    found.append((axes, second, a, b, paired_difference(a, b)))
    p_values = holm([result.p_value for *_, result in found])
    return [
        Comparison(
            axes=axes, first=names[0], second=second, of_first=summarize(a),
            of_second=summarize(b), result=result, p_adjusted=p,
            equivalence=None if margin is None else equivalence(np.subtract(a, b), margin),
        )
        for (axes, second, a, b, result), p in zip(found, p_values, strict=True)
    ]  # fmt: skip


def settings_with_pairs(
    groups: list[Group], tuned: Collection[str] = ()
) -> list[tuple[dict[str, Any], dict[str, Group]]]:
    """Settings that differ in more than their pair: their varying axes, and name -> group."""
    settings: dict[str, dict[str, Group]] = {}
    for group in groups:
        if PAIR in group.axes:
            settings.setdefault(_around_pair(group, tuned), {})[str(group.axes[PAIR])] = group
    axes, names = varying(groups), pair_names(groups)
    return [
        (
            {k: v for k, v in _without_pair(next(iter(own.values()))).items() if k in axes},
            {name: own[name] for name in names if name in own},
        )
        for own in settings.values()
    ]


def pair_names(groups: list[Group]) -> list[str]:
    """The pairs that have finished cells, from easy to infer to easy to predict.

    In the order of their places along the contour; where cells do not tell their alphas, or not
    in ascending order, the ends by their names and others between.
    """
    by_name: dict[str, list[Group]] = {}
    for group in groups:
        if PAIR in group.axes:
            by_name.setdefault(str(group.axes[PAIR]), []).append(group)
    found = {name: [place_of(group) for group in own] for name, own in by_name.items()}
    places = {name: [one for one in own if one is not None] for name, own in found.items()}
    means = {name: float(np.mean(own)) for name, own in places.items() if own}
    if len(set(means.values())) == len(by_name):
        return sorted(by_name, key=means.__getitem__)
    return sorted(by_name, key=lambda name: (_RANKS.get(name, 1), name))


def place_of(group: Group) -> float | None:
    """Mean of log(alpha_X / alpha_Z) over a group's cells; None where one does not say.

    Pairs lie on a curve that falls from large alpha_Z and small alpha_X (easy to infer) to the
    other corner, so this is the length along it, distances in log alphas added up axis by axis,
    whatever its shape.
    """
    logs = [_log_ratio(record.settings) for record in group.records]
    known = [value for value in logs if value is not None]
    return float(np.mean(known)) if known and len(known) == len(logs) else None


def _log_ratio(settings: Mapping[str, Any]) -> float | None:
    """Of the latents' alphas, where they differ, the geometric mean."""
    graph = settings.get("graph")
    logs: dict[bool, list[float]] = {True: [], False: []}
    for node in graph.get("nodes", []) if isinstance(graph, Mapping) else []:
        if not node.get("alpha"):
            return None
        logs[bool(node.get("observed"))].append(math.log(node["alpha"]))
    return float(np.mean(logs[True]) - np.mean(logs[False])) if all(logs.values()) else None


OF_PAIR = (SEED, PAIR, GRAPH_SEED, "graph")
"""Settings that a pair brings along, and the seed."""


def _around_pair(group: Group, tuned: Collection[str]) -> str:
    """What two groups have in common that differ in their pair alone."""
    record = group.records[0]
    settings: Mapping[str, Any] = {k: v for k, v in record.settings.items() if k not in OF_PAIR}
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


def by_seed(group: Group, metric: str) -> dict[Any, float]:
    """Seed -> a number; of cells that repeat seeds none."""
    return {
        record.settings[SEED]: float(record.result[metric])
        for record in group.records
        if metric in record.result and not isinstance(record.settings[SEED], list)
    }


def spoken(name: str) -> str:
    """A pair's name as in running text."""
    return name.replace("_", "-")
