"""What two-hop cells found, put together over seeds: gaps, accuracies, chance levels, flags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lrray.kinds.twohop import KNOWN_THRESHOLD
from lrray.results.groups import groups_of, label
from lrray.results.record import CellRecord
from lrray.results.run import Run
from lrray.statistics import Summary, holm, sign_flip_p_value, summarize
from lrray.twohop.matrix import LossMatrix, permutation_p_value


@dataclass(frozen=True)
class Cells:
    """The finished cells of one dataset that differ in their seeds alone."""

    dataset: str
    setting: str
    """What else tells them from others, e.g. ``model=…``; empty where nothing does."""
    records: tuple[CellRecord, ...]
    threshold: float
    """Below this accuracy on the second hop alone, the model does not know what it is to join."""

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """What each of them found."""
        return [record.result for record in self.records]

    def summary(self, name: str) -> Summary:
        """Mean over seeds of one number."""
        return summarize([result[name] for result in self.results])

    def measured(self, name: str) -> Summary | None:
        """The same; None where a cell has no such number, as of an earlier version."""
        return self.summary(name) if all(name in result for result in self.results) else None

    @property
    def second_hop_is_trained(self) -> bool:
        """Whether the second hop is invented too, so that no model knows it before training."""
        return self.records[0].settings.get("task", "semi_synthetic") != "semi_synthetic"

    @property
    def num_untrained(self) -> int:
        """Cells that did not learn every first-hop fact."""
        return sum(result["acc_a"] < 1 for result in self.results)

    @cached_property
    def findings(self) -> list[Finding]:
        """One per attribute."""
        return [Finding(self, name) for name in self.results[0]["attributes"]]


@dataclass(frozen=True)
class Finding:
    """One attribute of one dataset."""

    cells: Cells
    attribute: str

    @property
    def category(self) -> str:
        """The kind of its answers."""
        return str(self.cells.results[0]["attributes"][self.attribute]["category"])

    @property
    def gap(self) -> Summary:
        """Shuffled minus true loss in nats per token, over seeds."""
        return self.cells.summary(f"gap_2hop_{self.attribute}")

    @property
    def interval(self) -> Summary:
        """The gap with its interval: over seeds, or of a single seed over its people."""
        gap = self.gap
        return gap if gap.n > 1 else summarize(self.cells.results[0]["gaps"][self.attribute])

    @property
    def nocot(self) -> Summary:
        """Accuracy at once."""
        return self.cells.summary(f"acc_2hop_{self.attribute}_nocot")

    @property
    def cot(self) -> Summary:
        """Accuracy after reasoning."""
        return self.cells.summary(f"acc_2hop_{self.attribute}_cot")

    @property
    def chance(self) -> Summary:
        """Accuracy of another person's answer."""
        return self.cells.summary(f"chance_2hop_{self.attribute}")

    @property
    def commonest(self) -> Summary:
        """Accuracy of always the commonest answer."""
        return self.cells.summary(f"commonest_2hop_{self.attribute}")

    @property
    def known_before(self) -> Summary:
        """Accuracy on the second hop alone, before training."""
        return self.cells.summary(f"acc_second_hop_before_{self.attribute}")

    @property
    def known_after(self) -> Summary:
        """Accuracy on the second hop alone, at the end: it may be trained, or forgotten."""
        return self.cells.summary(f"acc_second_hop_{self.attribute}")

    @cached_property
    def matrices(self) -> dict[int, LossMatrix]:
        """Seed -> losses of all answers at all questions; cells of an earlier version have none."""
        return {
            record.settings["seed"]: LossMatrix.from_plain(record.result["losses"][self.attribute])
            for record in self.cells.records
            if "losses" in record.result
        }

    @cached_property
    def p_value(self) -> float:
        """P of "no gap" for the models that were trained, by permutation of answers.

        Where not all answers were scored at all questions, by sign flips over the people.
        """
        matrices = list(self.matrices.values())
        if len(matrices) == len(self.cells.records) and all(m.is_complete for m in matrices):
            return permutation_p_value(matrices)
        own = [gap for result in self.cells.results for gap in result["gaps"][self.attribute]]
        return sign_flip_p_value(own)

    def by_seed(self, name: str) -> dict[int, float]:
        """Seed -> one number, e.g. ``gap_2hop_{}`` for the gap."""
        return {
            record.settings["seed"]: record.result[name.format(self.attribute)]
            for record in self.cells.records
        }

    @property
    def is_known(self) -> bool:
        """Whether the second hop is known: before training and, not forgotten, at the end."""
        at_times = [self.known_after.mean]
        if not self.cells.second_hop_is_trained:
            at_times.append(self.known_before.mean)
        return min(at_times) >= self.cells.threshold

    @property
    def note(self) -> str:
        """What makes the gap doubtful; empty where nothing does."""
        flags = []
        if self.cells.num_untrained:
            flags.append(f"acc_a < 1 in {self.cells.num_untrained} of {len(self.cells.records)}")
        if not self.is_known:
            flags.append(
                f"second hop not known: right in {self.known_before.mean:.0%} before training, "
                f"{self.known_after.mean:.0%} at the end"
            )
        entries = [result["attributes"][self.attribute] for result in self.cells.results]
        if self.matrices and all(matrix.is_complete for matrix in self.matrices.values()):
            return "; ".join(flags)  # over all permutations none is left out
        if fixed := sum(entry["fixed_points"] for entry in entries):
            flags.append(f"{fixed} shuffled rows right and left out")
        return "; ".join(flags)


def known_threshold(run: Run) -> float:
    """The study's own, which may be changed without running anything again."""
    return float(run.settings.get("known_threshold", KNOWN_THRESHOLD))


def cells_of(run: Run) -> list[Cells]:
    """Finished cells by dataset and setting, in the order of their names."""
    threshold = known_threshold(run)
    found = []
    for group in groups_of(run.wanted_records()):
        axes = {name: value for name, value in group.axes.items() if name != "dataset"}
        setting = label(axes) if axes else ""
        records = tuple(group.records)
        found.append(Cells(_dataset(records[0]), setting, records, threshold))
    return sorted(found, key=lambda cells: (cells.dataset, cells.setting))


def _dataset(record: CellRecord) -> str:
    settings = record.settings
    return str(settings["dataset"] or settings["facts"]["dataset"])


def adjusted_p_values(findings: Sequence[Finding]) -> list[float]:
    """Each finding's p value, adjusted for all of them (Holm)."""
    return holm([finding.p_value for finding in findings])


def seed_means(findings: Sequence[Finding], name: str) -> list[float]:
    """For each seed the mean over attributes of one number, e.g. ``gap_2hop_{}`` for the gap.

    Attributes of one seed are not independent of each other, seeds are. Of an unfinished run only
    the seeds count that every dataset has: others would differ in more than their seed. Where
    there is none, as with a seed for each dataset, all count.
    """
    values = [finding.by_seed(name) for finding in findings]
    return [float(np.mean([own[s] for own in values if s in own])) for s in _seeds(values)]


def _seeds(values: Sequence[Mapping[int, object]]) -> list[int]:
    """Seeds that all have, or, where there is none, all seeds."""
    return sorted(set(values[0]).intersection(*values) or set().union(*values))


def average(findings: Sequence[Finding], name: str) -> Summary:
    """Mean over seeds of :func:`seed_means`."""
    return summarize(seed_means(findings, name))


def average_gap(findings: Sequence[Finding]) -> tuple[Summary, float | None]:
    """The gap over attributes, then seeds, and the sign-flip p of "no gap" over seeds.

    The p is None for one seed. Of n seeds it is at least 2 ** (1 - n).
    """
    gaps = seed_means(findings, "gap_2hop_{}")
    return summarize(gaps), sign_flip_p_value(gaps) if len(gaps) > 1 else None


def mean_curves(
    cells: Sequence[Cells], run: Run, names: Iterable[str]
) -> dict[str, dict[int, Summary]]:
    """Name of a logged number -> epoch -> its mean over seeds, of each seed that over datasets.

    Seeds count as in :func:`seed_means`; a number that was not logged has no epochs.
    """
    logged = [
        {record.settings["seed"]: run.metrics(record.id) for record in each.records}
        for each in cells
    ]
    seeds = _seeds(logged)
    by_seed = [[points for own in logged for points in own.get(seed, [])] for seed in seeds]
    return {name: _mean_curve(by_seed, name) for name in names}


def _mean_curve(by_seed: Sequence[Sequence[Mapping[str, float]]], name: str) -> dict[int, Summary]:
    means: dict[int, list[float]] = defaultdict(list)
    for points in by_seed:
        known = [(int(point["step"]), point[name]) for point in points if name in point]
        for epoch in {epoch for epoch, _ in known}:
            means[epoch].append(float(np.mean([value for at, value in known if at == epoch])))
    return {epoch: summarize(means[epoch]) for epoch in sorted(means)}


def by_setting(cells: Sequence[Cells]) -> dict[str, list[Cells]]:
    """Setting -> its datasets."""
    found: dict[str, list[Cells]] = defaultdict(list)
    for each in cells:
        found[each.setting].append(each)
    return found
