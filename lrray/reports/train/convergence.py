"""Whether the numbers of a training study are end points: what doubling the steps changes.

A doubling is two groups of cells that differ in their steps alone, seed by seed. Where the learning
rate is constant, a run's own curve has one as well: half of its steps against all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from lrray.reports.content import Picture, Row, Section, Table, axes_row
from lrray.reports.grid.figures import curves_figure
from lrray.reports.train.comparisons import METRIC, by_seed, without
from lrray.results.curves import curve_of
from lrray.results.groups import GRAPH_SEED, Group, MeanCurve, label
from lrray.results.run import Run
from lrray.results.tables import SEED
from lrray.statistics import Summary, summarize
from lrray.studies.cell import digest

CHANGE_BITS, CHANGE_SHARE = 0.02, 0.1
"""Below one of these a doubling has changed nothing: bits per token, or share of the excess."""

_LENGTHS = ("train.steps", "train.tokens")
_WATCHED = ("train.log_every", "train.eval_every", "train.checkpoint_every", "train.keep_last")
"""Settings that change no result, and may be as many times larger as the steps."""
_OF_SEED = (SEED, GRAPH_SEED, "graph")
MAX_NAMED = 4


@dataclass(frozen=True)
class Doubling:
    """One setting, trained for so many steps and for at least twice as many."""

    axes: dict[str, Any]
    """But for the number of steps."""
    steps: int
    more_steps: int
    excess: Summary
    """Of ``steps``."""
    change: Summary
    """From ``steps`` to ``more_steps``, seed by seed."""
    groups: tuple[Group, ...]
    """The two, or the one whose curve it is."""

    @property
    def is_settled(self) -> bool:
        """Whether the mean changed by less than the smallest change that counts."""
        return self._is_small(self.change.mean)

    @property
    def is_sure(self) -> bool:
        """Whether the change's whole 95 % interval is as small."""
        ends = (self.change.low, self.change.high)
        return self.change.n > 1 and all(self._is_small(end) for end in ends)

    def _is_small(self, change: float) -> bool:
        return abs(change) < max(CHANGE_BITS, CHANGE_SHARE * abs(self.excess.mean))

    @property
    def in_words(self) -> str:
        """``pair=easy_to_infer (2000 to 4000 steps): -0.081 bits/token``."""
        return (
            f"{label(self.axes)} ({self.steps} to {self.more_steps} steps): "
            f"{self.change.mean:+.3f} bits/token"
        )


def doublings(run: Run, groups: list[Group]) -> list[Doubling]:
    """The last doubling of every setting that has one."""
    found = []
    for ladder in _ladders(groups, run.tuned):
        found += _last_of(ladder) or _within(run, ladder[-1])
    return found


def _ladders(groups: list[Group], tuned: Collection[str]) -> list[list[Group]]:
    """Groups that differ in their steps alone, from few steps to many."""
    ladders: dict[str, list[Group]] = {}
    for group in groups:
        if _steps(group) is not None and group.values(METRIC):
            settings: Mapping[str, Any] = group.records[0].settings
            for path in (*_LENGTHS, *_WATCHED, *tuned, *_OF_SEED):
                settings = without(settings, path)
            ladders.setdefault(digest([_other_axes(group), settings]), []).append(group)
    return [sorted(own, key=lambda group: _steps(group) or 0) for own in ladders.values()]


def _last_of(ladder: list[Group]) -> list[Doubling]:
    """The longest group against the longest of those with at most half its steps."""
    more = ladder[-1]
    shorter = [group for group in ladder if 2 * (_steps(group) or 0) <= (_steps(more) or 0)]
    if not shorter:
        return []
    few = shorter[-1]
    one, other = by_seed(few, METRIC), by_seed(more, METRIC)
    seeds = [seed for seed in one if seed in other]
    if not seeds:
        return []
    return [
        Doubling(
            _other_axes(few), _steps(few) or 0, _steps(more) or 0,
            summarize([one[seed] for seed in seeds]),
            summarize([other[seed] - one[seed] for seed in seeds]), (few, more),
        )
    ]  # fmt: skip


def _within(run: Run, group: Group) -> list[Doubling]:
    """Half of the steps against all, in the curves of runs with a constant learning rate."""
    steps = _steps(group) or 0
    if group.records[0].settings["train"].get("schedule", "constant") != "constant":
        return []
    curves = [dict(curve_of(run.metrics(record.id), METRIC)) for record in group.records]
    both = [(own[steps / 2], own[float(steps)]) for own in curves if {steps / 2, steps} <= set(own)]
    if not both:
        return []
    excess, change = summarize([a for a, _ in both]), summarize([b - a for a, b in both])
    return [Doubling(_other_axes(group), steps // 2, steps, excess, change, (group,))]


def in_answer(run: Run, groups: list[Group]) -> list[str]:
    """A sentence of the report's answer: where no end point may be claimed."""
    found = doublings(run, groups)
    if not found:
        return []
    moving = [one for one in found if not one.is_settled]
    if not moving:
        others = len(_ladders(groups, run.tuned)) - len(found)
        where = f" in the {len(found)} settings where that was asked" if others else ""
        return [
            f"Doubling the steps changed the mean excess by less than {CHANGE_BITS:g} bits or "
            f"{100 * CHANGE_SHARE:.0f} %{where}."
        ]
    named = "; ".join(one.in_words for one in moving[:MAX_NAMED])
    more = f" and {len(moving) - MAX_NAMED} more" if len(moving) > MAX_NAMED else ""
    return [f"No end point is claimed where doubling the steps still changed it: {named}{more}."]


def convergence_section(run: Run, groups: list[Group]) -> list[Section]:
    """The doublings, and the curves of those that changed the outcome."""
    if not any(_steps(group) is not None for group in groups):
        return []
    found = doublings(run, groups)
    if not found:
        text = (
            "No cell was trained for twice as many steps as another, so nothing is known of end "
            "points: losses are those of these numbers of steps. An axis train.steps with a number "
            "and its double asks."
        )
        return [Section("Convergence", text)]
    caption = (
        "What doubling the steps changes: excess in bits/token at the fewer steps, and its change "
        "seed by seed"
    )
    table = Table("convergence", caption, [_row(one) for one in found])
    moving = [one for one in found if not one.is_settled]
    return [Section("Convergence", _verdict(found, moving), (table,), _pictures(run, moving))]


def _verdict(found: list[Doubling], moving: list[Doubling]) -> str:
    rule = f"less than {CHANGE_BITS:g} bits/token or {100 * CHANGE_SHARE:.0f} %"
    settled = [one for one in found if one.is_settled]
    text = [f"Doubling the steps changed the mean excess by {rule} in {len(settled)} of "
            f"{len(found)} settings."]  # fmt: skip
    unsure = [one for one in settled if not one.is_sure]
    if unsure:
        text.append(
            f"In {len(unsure)} of them the 95 % interval over seeds, or a single seed, leaves a "
            "larger change open."
        )
    if moving:
        named = "; ".join(one.in_words for one in moving[:MAX_NAMED])
        more = f" and {len(moving) - MAX_NAMED} more" if len(moving) > MAX_NAMED else ""
        text.append(f"No end point is claimed for {named}{more}: see the curves.")
    return " ".join(text)


def _row(one: Doubling) -> Row:
    many = one.change.n > 1
    return {
        **axes_row(one.axes), "steps": one.steps, "to": one.more_steps, "excess": one.excess,
        "change": one.change,
        "95 % from": one.change.low if many else None, "up to": one.change.high if many else None,
        "end point": "yes" if one.is_settled else "no",
    }  # fmt: skip


def _pictures(run: Run, moving: list[Doubling]) -> tuple[Picture, ...]:
    groups = [group for one in moving for group in one.groups]
    curves: list[tuple[Group, MeanCurve]] = []
    for group in groups:
        own = group.curve(run.metrics, METRIC)
        if own is not None:
            curves.append((group, own))
    if not curves:
        return ()
    caption = (
        "Excess loss [bits/token] over steps where doubling them still changed it: mean over "
        "seeds, band ± one s.e."
    )
    return (Picture("not_converged", caption, partial(curves_figure, curves, METRIC)),)


def _steps(group: Group) -> int | None:
    """Steps of a group's cells; None where the settings do not say."""
    train = group.records[0].settings.get("train")
    if not isinstance(train, Mapping):
        return None
    if train.get("steps") is not None:
        return int(train["steps"])
    if train.get("tokens") is None or "batch_size" not in train or "seq_len" not in train:
        return None
    return int(-(-train["tokens"] // (train["batch_size"] * train["seq_len"])))


def _other_axes(group: Group) -> dict[str, Any]:
    return {name: value for name, value in group.axes.items() if name not in _LENGTHS}
