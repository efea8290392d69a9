"""The report of a two-hop study: the gap, answers with and without reasoning, what is doubtful."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lrray.reports.content import Picture, Row, Section, Table
from lrray.reports.grid import report as grid
from lrray.reports.grid.figures import MAX_PANELS
from lrray.reports.tables import cell_text
from lrray.reports.twohop.controls import controls_sections, headline
from lrray.reports.twohop.figures import curves_figure, gaps_figure
from lrray.reports.twohop.numbers import (
    Cells,
    Finding,
    adjusted_p_values,
    average,
    average_gap,
    by_setting,
    cells_of,
    known_threshold,
)
from lrray.reports.twohop.texts import texts_section
from lrray.results.run import Run
from lrray.statistics import Summary
from lrray.text import with_error

_HOW = (
    "The gap is the loss of shuffled answers minus that of the true ones, in nats per token of the "
    "answer, for questions to be answered at once; above zero the model joins both hops silently. "
    "Every answer is scored at every question, so the gap is over all permutations of the answers, "
    "and what questions and answers cost by themselves cancels. Means and standard errors are over "
    "seeds; p permutes the answers among the people of each seed (where a context shows only some "
    "answers, and of cells of earlier versions, it flips signs over people), adjusted for all "
    "attributes (Holm): it says whether these trained models have a gap, not whether others would. "
    "Chance is the score "
    "of another person's answer. Where the model did not know the second hop before training, or "
    "no longer does at the end (accuracy below {threshold:g}; of invented second hops, at the end "
    "alone), or has not learnt every first hop, a gap of zero says nothing."
)

_GAPS_CAPTION = (
    "Gap by attribute with its 95 % interval, over seeds or, of a single seed, over its people; "
    "hollow where the interval holds 0 or p (Holm) is not below 0.05"
)

_MAX_TOLD = 8
"""Settings whose gaps the answer spells out."""


def answer(run: Run) -> str:
    """The gap and the accuracies, averaged over attributes; of a search the best trial."""
    if run.settings.get("search"):
        return grid.answer(run)
    findings = _findings(cells_of(run))
    if not findings:
        return "No cell has finished yet."
    gap, p_value = average_gap(findings)
    seeds, doubt = "one seed, which gives no interval,", ""
    if p_value is not None:
        seeds = f"{gap.n} seeds"
        doubt = f" (95 %: {_interval(gap)}, sign-flip p over seeds {p_value:.2g})"
    significant = [
        finding
        for p, finding in zip(adjusted_p_values(findings), findings, strict=True)
        if p < 0.05 and finding.gap.mean > 0
    ]
    cot, nocot, chance, commonest = (
        _percent(average(findings, name))
        for name in ("acc_2hop_{}_cot", "acc_2hop_{}_nocot", "chance_2hop_{}", "commonest_2hop_{}")
    )
    return (
        f"Over {len(findings)} attributes and {seeds} the gap is {cell_text(gap)} nats per "
        f"token{doubt}, and positive beyond chance for {len(significant)} of the attributes; "
        f"right are {cot} of answers after reasoning and {nocot} at once, where another person's "
        f"answer is right in {chance} and the commonest one in {commonest}."
        f"{headline(findings, significant)}{_by_setting(findings)}"
    )


def _by_setting(findings: Sequence[Finding]) -> str:
    """The gap of each setting, where the study has a few; one number would average them away."""
    settings: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        settings[finding.cells.setting].append(finding)
    if not 1 < len(settings) <= _MAX_TOLD:
        return ""
    told = [f"{name} {cell_text(average_gap(own)[0])}" for name, own in settings.items()]
    return f" The gap by setting: {', '.join(told)}."


def _interval(value: Summary) -> str | None:
    """The 95 % interval, where there are several seeds."""
    return f"{value.low:.2f} to {value.high:.2f}" if value.n > 1 else None


def _percent(share: Summary) -> str:
    if share.n < 2:
        return f"{100 * share.mean:.0f} %"
    return f"{with_error(100 * share.mean, 100 * share.standard_error)} %"


def sections(run: Run) -> list[Section]:
    """Gaps by attribute and category, datasets, learning curves; of a search all trials.

    A trial's cell repeats seeds, and keeps of them the mean of each number.
    """
    if run.settings.get("search"):
        return grid.sections(run)
    cells = cells_of(run)
    findings = _findings(cells)
    if not findings:
        return [Section("Results", "No cell has finished yet.")]
    gaps = Picture("gaps", _GAPS_CAPTION, lambda: gaps_figure(findings))
    curves = Picture("curves", _curves_caption(cells), lambda: curves_figure(cells, run))
    return [
        Section(
            "The gap",
            _HOW.format(threshold=known_threshold(run)),
            (_by_attribute(findings),),
            (gaps,),
        ),
        *controls_sections(findings),
        Section("By kind of answer", _CATEGORIES, (_by_category(findings),)),
        Section("Learning curves", pictures=(curves,)),
        Section("Checks", _checks_text(cells), (_by_dataset(cells),)),
        *texts_section(run, cells[0].records[0].id),
    ]


def _curves_caption(cells: Sequence[Cells]) -> str:
    caption = "Means over seeds, with standard errors, before training and between epochs"
    count = len(by_setting(cells))
    return (
        f"{caption}; {MAX_PANELS} of {count} settings are drawn" if count > MAX_PANELS else caption
    )


def _findings(cells: Sequence[Cells]) -> list[Finding]:
    return [finding for each in cells for finding in each.findings]


def _by_attribute(findings: Sequence[Finding]) -> Table:
    rows: list[Row] = []
    for finding, p in zip(findings, adjusted_p_values(findings), strict=True):
        rows.append(
            {
                **_place(finding.cells),
                "attribute": finding.attribute,
                "gap": finding.gap,
                "95 %": _interval(finding.gap),
                "p (Holm)": p,
                "at once": finding.nocot,
                "reasoning": finding.cot,
                "chance": finding.chance,
                "commonest": finding.commonest,
                "second hop before": finding.known_before,
                "second hop": finding.known_after,
                "note": finding.note,
            }
        )
    return Table("gap_by_attribute", "Gap and accuracies of every attribute at the end", rows)


def _by_category(findings: Sequence[Finding]) -> Table:
    kinds: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        kinds[finding.category].append(finding)
    kinds["all"] = list(findings)
    rows = [_averaged(name, own) for name, own in kinds.items()]
    return Table("gap_by_category", "Means over seeds, of the attributes of one category", rows)


def _averaged(name: str, findings: Sequence[Finding]) -> Row:
    gap, p_value = average_gap(findings)
    return {
        "category": name,
        "attributes": len(findings),
        "gap": gap,
        "95 %": _interval(gap),
        "p (seeds)": p_value,
        "at once": average(findings, "acc_2hop_{}_nocot"),
        "reasoning": average(findings, "acc_2hop_{}_cot"),
        "chance": average(findings, "chance_2hop_{}"),
    }


_CATEGORIES = (
    "Numbers are averaged over the attributes of a category within each seed, then over seeds: n "
    "is the number of seeds. p is of a sign-flip test over these seeds, not adjusted, and says "
    "whether other seeds would show a gap; of n seeds it is at least 2^(1-n). One seed gives "
    "neither interval nor p."
)


def _by_dataset(cells: Sequence[Cells]) -> Table:
    names = {
        "acc_a": "acc_a",
        "gap before": "gap_2hop_before",
        "gap": "gap_2hop",
        "at once": "acc_2hop_nocot",
        "at once, e2 not named": "acc_2hop_nocot_latent",
        "at once, plain": "acc_2hop_nocot_plain",
        "reasoning": "acc_2hop_cot",
        "e2 in reasoning": "acc_2hop_cot_first_hop",
        "reasoning, plain": "acc_2hop_cot_plain",
        "chance": "chance_2hop",
    }
    rows: list[Row] = [
        {**_place(each), **{title: each.summary(name) for title, name in names.items()}}
        for each in cells
    ]
    return Table("datasets", "Every dataset, averaged over its attributes", rows)


def _checks_text(cells: Sequence[Cells]) -> str:
    total = sum(len(each.records) for each in cells)
    untrained = sum(each.num_untrained for each in cells)
    told = (
        f"{untrained} of {total} cells end with acc_a below 1: they have not learnt all first-hop "
        "facts, and the rest of their numbers means little."
        if untrained
        else f"All {total} cells have learnt every first-hop fact (acc_a = 1)."
    )
    return told + (
        " Plain is grading by substring, as earlier work did; without e2 named, an answer at once "
        "was not reasoned aloud."
    )


def _place(cells: Cells) -> Row:
    row: Row = {"dataset": cells.dataset.replace("_", " ")}
    return {**row, "setting": cells.setting} if cells.setting else row
