"""A dose-response along a contour: outcomes over the place of several pairs of equal difficulty.

A place is the length along the contour (:func:`lrray.reports.train.comparisons.place_of`) as a
share of the way between the ends; it needs no more than the cells' own graphs.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lrray.regression import Slope, within_slope
from lrray.reports.content import Picture, Row, Section, Table, axes_row
from lrray.reports.grid.figures import lay_out, size
from lrray.reports.style import COLORS, figure
from lrray.reports.train.comparisons import place_of, settings_with_pairs, spoken
from lrray.results.groups import Group, label
from lrray.results.record import CellRecord
from lrray.results.tables import SEED
from lrray.statistics import Summary
from lrray.text import difference_in_words

OUTCOMES = {
    "share_captured": "share of information captured",
    "share_beyond_trigram": "share beyond the trigram",
    "excess_bits": "excess loss [bits/token]",
}
"""What is regressed on the place, the primary outcomes first."""

FEWEST_RUNGS = 3


@dataclass(frozen=True)
class Ladder:
    """Pairs of one setting in order along their contour."""

    axes: dict[str, Any]
    rungs: dict[str, Group]
    """By the name of the pair, from easy to infer to easy to predict."""
    places: dict[str, float]
    """0 at the first, 1 at the last."""

    def slope(self, outcome: str, hold_ngrams: bool = False) -> Slope | None:
        """Of an outcome over the place, seeds as units; None where no cell has the numbers.

        Args:
            outcome: name of the number.
            hold_ngrams: whether to hold the share of the information that trigrams have.
        """
        rows = []
        for name, group in self.rungs.items():
            for record in group.records:
                value = record.result.get(outcome)
                held = trigram_share(record) if hold_ngrams else 0.0
                if value is not None and held is not None:
                    rows.append((self.places[name], float(value), held, record.settings[SEED]))
        if not rows:
            return None
        x, y, share, seeds = zip(*rows, strict=True)
        return within_slope(x, y, [str(seed) for seed in seeds], share if hold_ngrams else None)


def ladders(groups: list[Group], tuned: Collection[str] = ()) -> list[Ladder]:
    """The ladder of every setting that has at least three pairs at places of their own."""
    found = []
    for axes, by_name in settings_with_pairs(groups, tuned):
        at = {name: place_of(group) for name, group in by_name.items()}
        known = sorted((place, name) for name, place in at.items() if place is not None)
        spread = known[-1][0] - known[0][0] if known else 0.0
        if len({place for place, _ in known}) >= FEWEST_RUNGS:
            places = {name: (place - known[0][0]) / spread for place, name in known}
            found.append(Ladder(axes, {name: by_name[name] for name in places}, places))
    return found


def trigram_share(record: CellRecord) -> float | None:
    """Share of the information beyond token frequencies that the exact trigram table has."""
    numbers = [record.result.get(name) for name in ("unigram_bits", "trigram_bits", "bound_bits")]
    if any(number is None for number in numbers):
        return None
    unigram, trigram, bound = (float(number) for number in numbers if number is not None)
    return (unigram - trigram) / (unigram - bound) if unigram > bound else None


def ladder_answer(groups: list[Group], tuned: Collection[str] = ()) -> list[str]:
    """A sentence per ladder: the slopes of its outcomes from one end to the other."""
    sentences = []
    for ladder in ladders(groups, tuned):
        slopes = {name: ladder.slope(name) for name in OUTCOMES}
        told = [
            f"{OUTCOMES[name]} {_in_words(found)}"
            for name, found in slopes.items()
            if found is not None
        ]
        if told:
            names = [spoken(name) for name in ladder.rungs]
            where = f" ({label(ladder.axes)})" if ladder.axes else ""
            sentences.append(
                f"Along the contour from {names[0]} to {names[-1]}{where}, {len(names)} pairs, the "
                f"slope within seeds is: {'; '.join(told)}."
            )
    return sentences


def _in_words(found: Slope) -> str:
    told = difference_in_words(found.slope)
    if math.isnan(found.slope.standard_error):
        return told
    return f"{told[:-1]}, n = {found.slope.n} seeds, sign-flip p = {found.p_value:.2g})"


def ladder_section(groups: list[Group], tuned: Collection[str] = ()) -> list[Section]:
    """Slopes and the figure of every ladder; nothing where no setting has three pairs."""
    found = ladders(groups, tuned)
    rows = [
        _row(ladder, name, held, slope)
        for ladder in found
        for name in OUTCOMES
        for held in (False, True)
        if (slope := ladder.slope(name, held)) is not None
    ]
    if not rows:
        return []
    caption = (
        "Slope of each outcome from one end of the contour (place 0) to the other (place 1), seeds "
        "as units, with and without the share of the information that trigrams have held"
    )
    pictures = tuple(
        Picture(
            "ladder" if i == 0 else f"ladder_{i + 1}",
            "Outcomes of all pairs in order along the contour: mean ± one standard error over "
            f"seeds, thin lines single seeds{f'; {label(one.axes)}' if one.axes else ''}.",
            lambda one=one: ladder_figure(one),  # type: ignore[misc]
        )
        for i, one in enumerate(found)
    )
    return [Section("Along the contour", _METHOD, (Table("ladder", caption, rows),), pictures)]


_METHOD = (
    "A place is the length along the contour in log alphas. Slopes are taken within seeds, so that "
    "each seed keeps its own level (of a complete ladder that is the estimate with seeds as random "
    "effect), and their errors from seed to seed (jackknife, Student's t; p by sign flips). Where "
    "trigrams' share of the information is held, the slope is what remains at equal share; as the "
    "share itself changes along the contour, its interval is wider."
)


def _row(ladder: Ladder, name: str, held: bool, found: Slope) -> Row:
    slope = found.slope
    known = not math.isnan(slope.standard_error)
    shown: Summary | None = None if math.isnan(slope.mean) else slope
    return {
        **axes_row(ladder.axes),
        "outcome": name, "held": "trigrams' share" if held else "nothing", "slope": shown,
        "95 % from": slope.low if known else None, "to": slope.high if known else None,
        "p": found.p_value if known else None, "pairs": len(ladder.rungs), "seeds": slope.n,
    }  # fmt: skip


def ladder_figure(ladder: Ladder) -> Figure:
    """A panel per outcome: every seed's line, and means with standard errors."""
    known = [n for n in OUTCOMES if any(group.values(n) for group in ladder.rungs.values())]
    names = list(ladder.rungs)
    with figure(*size(len(known))) as drawn:
        for axes, outcome in zip(lay_out(drawn, [""] * len(known)), known, strict=True):
            for line in _lines(ladder, outcome):
                axes.plot(*zip(*line, strict=True), color="#b8c0c8", lw=0.7, zorder=1)
            points = [
                (ladder.places[name], summary)
                for name in names
                if (summary := ladder.rungs[name].summary(outcome)) is not None
            ]
            axes.errorbar(
                [x for x, _ in points], [summary.mean for _, summary in points],
                np.nan_to_num([summary.standard_error for _, summary in points]),
                marker="o", ms=4.5, lw=1.5, capsize=2.5, color=COLORS[0], zorder=2,
            )  # fmt: skip
            axes.set_xticks([ladder.places[name] for name in names])
            axes.set_xticklabels([spoken(name) for name in names], rotation=30, ha="right")
            axes.tick_params(axis="x", labelsize=8)
            axes.set(ylabel=OUTCOMES[outcome])
    return drawn


def _lines(ladder: Ladder, outcome: str) -> list[list[tuple[float, float]]]:
    """(place, value) of each seed."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, group in ladder.rungs.items():
        for record in group.records:
            if outcome in record.result:
                point = (ladder.places[name], float(record.result[outcome]))
                lines.setdefault(str(record.settings[SEED]), []).append(point)
    return list(lines.values())
