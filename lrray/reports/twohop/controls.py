"""Controls of a two-hop study: without them a gap is no evidence that hops were joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lrray.reports.content import Row, Section, Table
from lrray.reports.twohop.numbers import Finding, average
from lrray.statistics import Summary, summarize

_KEPT = 0.9
"""A second hop that training leaves below this share of its accuracy before counts as lost."""

_NO_MORE_THAN = 0.5
"""A placebo of more than this share of the gap explains too much of it."""

HOW = (
    "A gap is evidence of joined hops only beside its controls. *Placebo*: the gap that models of "
    "other seeds, trained on other pairings of people and entities, have for this pairing; it must "
    "be near 0, and so must the gap before training. *Second hop*: asked about e2 by name, before "
    "training and at the end; what is forgotten cannot be joined. *Positive control*: the same "
    "questions with both hops in the prompt (in context), and reasoning after worked examples of "
    "other people; a model that fails at these and at reasoning alone cannot show composition. "
    "*e2 instead* and *other e2*: answers at once that are wrong and name the entity, or another "
    "person's. An attribute passes if every first hop was learnt, the second hop was known and "
    "not lost, some positive control reaches the known_threshold, answers at once are right more "
    "often than the commonest one, and the placebo is at most half of the gap."
)

_PARTS = (
    "The loss is a mean over the tokens of an answer, so the gap is the sum of what its first "
    "token (which answer?), its further tokens (how is it spelt?) and its end of turn (is it "
    "complete?) add to it. In name: people whose answer stands in the name of their entity, for "
    "whom the first hop alone lowers the loss."
)


@dataclass(frozen=True)
class Controls:
    """The controls of one attribute."""

    finding: Finding

    @cached_property
    def placebos(self) -> dict[int, float]:
        """Seed -> gap of the other seeds' models for its pairing, where there are any."""
        matrices, found = self.finding.matrices, {}
        for seed, matrix in matrices.items():
            own = dict(zip(matrix.people, (matrix.answers[j] for j in matrix.own), strict=True))
            others = [m.placebo_gap(own) for other, m in matrices.items() if other != seed]
            known = [value for value in others if value is not None]
            if known and all(m.is_complete for m in matrices.values()):
                found[seed] = float(np.mean(known))
        return found

    @property
    def placebo(self) -> Summary | None:
        """Mean over seeds of the placebo."""
        return summarize(list(self.placebos.values())) if self.placebos else None

    @property
    def against_placebo(self) -> Summary | None:
        """Mean over seeds of the gap less its placebo."""
        gaps = self.finding.by_seed("gap_2hop_{}")
        pairs = [gaps[seed] - value for seed, value in self.placebos.items()]
        return summarize(pairs) if pairs else None

    def number(self, name: str) -> Summary | None:
        """A number of the cells, ``{}`` standing for the attribute."""
        return self.finding.cells.measured(name.format(self.finding.attribute))

    @property
    def were_measured(self) -> bool:
        """Whether there are any: cells of an earlier version have none, in context none is due."""
        task = self.finding.cells.records[0].settings.get("task")
        return task == "in_context" or self.number("acc_worked_{}") is not None

    @property
    def second_hop_is_lost(self) -> bool:
        """Whether training made the model forget the second hop."""
        before, after = self.finding.known_before.mean, self.finding.known_after.mean
        return not self.finding.cells.second_hop_is_trained and after < _KEPT * before

    @property
    def can_compose(self) -> bool:
        """Whether the model joins both hops when it may read or write them."""
        names = ("acc_context_{}", "acc_worked_{}", "acc_2hop_{}_cot")
        values = [value.mean for name in names if (value := self.number(name)) is not None]
        return max(values) >= self.finding.cells.threshold

    @property
    def passes(self) -> bool:
        """Whether a gap would be evidence."""
        finding = self.finding
        # Of a single seed there is no other pairing; the model before training stands in for it.
        placebo = self.placebo or self.number("gap_2hop_before_{}")
        return (
            self.were_measured
            and not finding.cells.num_untrained
            and finding.is_known
            and not self.second_hop_is_lost
            and self.can_compose
            and finding.nocot.mean > max(finding.commonest.mean, finding.chance.mean)
            and (placebo is None or abs(placebo.mean) <= _NO_MORE_THAN * finding.gap.mean)
        )

    def gap_of_people(self, in_name: bool) -> Summary | None:
        """The gap over people whose answer stands in their entity's name, or over the others."""
        results = self.finding.cells.results
        gaps = [
            gap
            for result, matrix in zip(results, self.finding.matrices.values(), strict=False)
            if len(result["gaps"][self.finding.attribute]) == len(matrix.in_name)
            for gap, inside in zip(
                result["gaps"][self.finding.attribute], matrix.in_name, strict=True
            )
            if inside == in_name
        ]
        return summarize(gaps) if gaps else None


def headline(findings: Sequence[Finding], significant: Sequence[Finding]) -> str:
    """What the controls say of the gap, for the answer of a study."""
    controls = [Controls(finding) for finding in findings]
    if not all(control.were_measured for control in controls):
        return (
            " Its controls were not measured, so this is no evidence of joined hops; cells of this "
            "version measure them."
        )
    passed = sum(Controls(finding).passes for finding in significant)
    before, after = (
        average(findings, name).mean for name in ("acc_second_hop_before_{}", "acc_second_hop_{}")
    )
    told = [
        f"of these {len(significant)} attributes {passed} pass",
        f"the second hop alone is right in {_percent(before)} before training and "
        f"{_percent(after)} at the end",
        *_positive(findings, controls),
        _placebo(controls),
    ]
    return f" Controls: {'; '.join(told)}.{_doubts(controls)}"


def _positive(findings: Sequence[Finding], controls: Sequence[Controls]) -> list[str]:
    if any(control.number("acc_worked_{}") is None for control in controls):
        return []
    context, worked = (average(findings, name).mean for name in ("acc_context_{}", "acc_worked_{}"))
    return [
        f"with both hops in context {_percent(context)} are right, after worked examples "
        f"{_percent(worked)}"
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _placebo(controls: Sequence[Controls]) -> str:
    values = [control.placebo.mean for control in controls if control.placebo is not None]
    if values:
        return f"for other pairings the gap is {np.mean(values):.2f}"
    before = [value.mean for c in controls if (value := c.number("gap_2hop_before_{}")) is not None]
    known = f", before training it is {np.mean(before):.2f}" if before else ""
    return f"no other pairing was trained to compare the gap with{known}"


def _doubts(controls: Sequence[Controls]) -> str:
    count, told = len(controls), ""
    if lost := sum(control.second_hop_is_lost for control in controls):
        told += (
            f" Training made the model forget the second hop of {lost} of {count} attributes, whose"
            " gaps are no evidence of joined hops."
        )
    if not any(control.can_compose for control in controls):
        told += " It fails the positive control everywhere: this model cannot show composition."
    elif failing := sum(not control.can_compose for control in controls):
        told += f" It fails the positive control for {failing} of {count} attributes."
    return told


_CONTROL_COLUMNS: Mapping[str, Callable[[Controls], Summary | None]] = {
    "gap": lambda c: c.finding.gap,
    "placebo": lambda c: c.placebo,
    "gap less placebo": lambda c: c.against_placebo,
    "gap before": lambda c: c.number("gap_2hop_before_{}"),
    "second hop before": lambda c: c.finding.known_before,
    "second hop": lambda c: c.finding.known_after,
    "in context": lambda c: c.number("acc_context_{}"),
    "worked examples": lambda c: c.number("acc_worked_{}"),
    "reasoning": lambda c: c.finding.cot,
    "at once": lambda c: c.finding.nocot,
    "e2 instead": lambda c: c.number("instead_e2_{}"),
    "other e2": lambda c: c.number("instead_other_e2_{}"),
}

_PART_COLUMNS: Mapping[str, Callable[[Controls], Summary | None]] = {
    "gap": lambda c: c.finding.gap,
    "first token": lambda c: c.number("gap_first_{}"),
    "further tokens": lambda c: c.number("gap_later_{}"),
    "end of turn": lambda c: c.number("gap_end_{}"),
    "in name": lambda c: c.gap_of_people(True),
    "not in name": lambda c: c.gap_of_people(False),
}


def controls_sections(findings: Sequence[Finding]) -> list[Section]:
    """Controls of every attribute, and what its gap is made of."""
    controls = [Controls(finding) for finding in findings]
    if not any(control.were_measured for control in controls):
        return [Section("Controls", "None were measured: these cells are of an earlier version.")]
    checks = [
        {**_place(c), **_row(c, _CONTROL_COLUMNS), "passes": "yes" if c.passes else "no"}
        for c in controls
    ]
    parts: list[Row] = [{**_place(c), **_row(c, _PART_COLUMNS)} for c in controls]
    return [
        Section("Controls", HOW, (Table("controls", "Controls of every attribute", checks),)),
        Section(
            "What the gap is made of",
            _PARTS,
            (Table("gap_parts", "Parts of the gap of every attribute, nats per token", parts),),
        ),
    ]


def _place(control: Controls) -> Row:
    cells = control.finding.cells
    row: Row = {"dataset": cells.dataset.replace("_", " ")}
    setting = {"setting": cells.setting} if cells.setting else {}
    return {**row, **setting, "attribute": control.finding.attribute}


def _row(control: Controls, columns: Mapping[str, Callable[[Controls], Summary | None]]) -> Row:
    return {title: value(control) for title, value in columns.items()}
