"""The report of a training study: is one kind of latents learnt better, at equal difficulty?

Every seed is one kernel draw and one training run for each of the two pairs, so differences are
taken seed by seed, tested by flipping their signs, and the tests of one run adjusted together.
"""

from __future__ import annotations

from typing import Any

from lrray.difficulty.compressors import compressor_label
from lrray.reports.content import Picture, Row, Section, Table, axes_row
from lrray.reports.grid import report as grid
from lrray.reports.grid.figures import MAX_PANELS
from lrray.reports.train.adaptation import adaptation_section
from lrray.reports.train.bounds import bound_check
from lrray.reports.train.comparisons import (
    METRIC,
    PAIR,
    Comparison,
    comparisons,
    spoken,
)
from lrray.reports.train.convergence import convergence_section, in_answer
from lrray.reports.train.decomposition import decomposition_answer, decomposition_section
from lrray.reports.train.figures import (
    bars_figure,
    excess_curves_figure,
    excess_figure,
    settings_of,
)
from lrray.reports.train.ladder import ladder_answer, ladder_section
from lrray.reports.train.outcomes import outcome_section
from lrray.reports.train.scatter import scatter_answer, scatter_section
from lrray.results.groups import GRAPH_SEED, Group, groups_of, label, varying
from lrray.results.run import Run
from lrray.statistics import Summary, summarize
from lrray.studies.axes import axis_name
from lrray.text import with_error

MAX_TOLD = 4
"""Comparisons that the answer spells out."""

MAX_LEVELS = 6
"""Values of an axis whose excess losses the answer spells out."""

_NUMBERS = (
    "excess_bits", "loss_bits", "bound_bits", "accuracy", "share_captured", "share_beyond_trigram",
)  # fmt: skip
_SIZES = ("num_parameters", "num_non_embedding_parameters", "flops_per_token")


def answer(run: Run) -> str:
    """Which of the two pairs has less excess loss, by how much, and how sure that is.

    Where sizes vary, the excess loss of each comes first; where compressors were measured, how far
    each is above the bound comes last, nearest first.
    """
    groups = groups_of(run.wanted_records())
    compared = _compared(run, groups)
    if not compared:
        parts = [*scatter_answer(groups), grid.answer(run)]
        return " ".join([*parts, *in_answer(run, groups)])
    ends = [one for one in compared if one.second == compared[0].second]
    more = [*ladder_answer(groups, run.tuned), *decomposition_answer(groups, run.tuned)]
    parts = [*_levels(groups), _difference(ends), *more, *_distances(groups)]
    return " ".join([*parts, *in_answer(run, groups)])


def _compared(run: Run, groups: list[Group]) -> list[Comparison]:
    return comparisons(groups, run.tuned, run.settings.get("equivalence_margin_bits"))


def _levels(groups: list[Group]) -> list[str]:
    """The excess loss of each kind along an axis of numbers, if that is all that varies."""
    axes = {name: values for name, values in varying(groups).items() if name != PAIR}
    if len(axes) != 1:
        return []
    ((axis, values),) = axes.items()
    if len(values) > MAX_LEVELS or not all(isinstance(v, int | float) for v in values):
        return []
    kinds: dict[str, list[str]] = {}
    for group in sorted(groups, key=lambda group: values.index(group.axes[axis])):
        if excess := group.summary(METRIC):
            said = with_error(excess.mean, excess.standard_error)
            kinds.setdefault(spoken(group.axes[PAIR]), []).append(f"{said} ({group.axes[axis]})")
    told = "; ".join(f"{kind} {', '.join(kinds[kind])}" for kind in sorted(kinds))
    return [f"Excess loss in bits/token by {axis_name(axis)}: {told}."] if told else []


def _difference(compared: list[Comparison]) -> str:
    first, second = (spoken(name) for name in (compared[0].first, compared[0].second))
    head = f"Excess loss of {first} minus that of {second}"
    if len(compared) <= MAX_TOLD:
        return f"{head}: {'; '.join(one.in_words for one in compared)}."
    extremes = sorted(compared, key=lambda one: one.result.difference.mean)
    return (
        f"{head}: {_where_it_holds(compared)}; from {extremes[0].in_words} to "
        f"{extremes[-1].in_words}."
    )


def _where_it_holds(compared: list[Comparison]) -> str:
    """In how many settings the interval lies below 0, and in which it does not."""
    below = [one for one in compared if one.result.difference.high < 0]
    count = f"the 95 % interval lies below 0 in {len(below)} of {len(compared)} settings"
    others = [one for one in compared if one not in below]
    if not others or not below or len(others) > MAX_TOLD:
        above = sum(one.result.difference.low > 0 for one in others)
        return f"{count}, above 0 in {above}" if others else count
    told = [
        f"{label(one.axes)} ({'above' if one.result.difference.low > 0 else 'around'} 0)"
        for one in others
    ]
    return f"{count}, not with {', '.join(told)}"


def _distances(groups: list[Group]) -> list[str]:
    """A sentence per setting; none where no compressor was measured or there are many."""
    names = _compressors(groups)
    if not names or len(groups) > MAX_TOLD:
        return []
    sentences = []
    for group in groups:
        bound = group.values("bound_bits")
        above = {
            name.removesuffix("_bits"): summarize(
                [value - least for value, least in zip(group.values(name), bound, strict=True)]
            )
            for name in ("loss_bits", *names)
        }
        said = ", ".join(
            f"{'the model' if name == 'loss' else name} {with_error(far.mean, far.standard_error)}"
            for name, far in sorted(above.items(), key=lambda item: item[1].mean)
        )
        axes = {name: value for name, value in group.axes.items() if name in varying(groups)}
        kind = spoken(str(axes.pop(PAIR)))
        where = " ".join([kind, *([label(axes)] if axes else [])])
        sentences.append(f"Bits/token above the exact bound, {where}: {said}.")
    return sentences


def sections(run: Run) -> list[Section]:
    """The comparison, learning curves, compressors where they were measured, all numbers."""
    groups = groups_of(run.wanted_records())
    compared = _compared(run, groups)
    if not compared:
        own = [*scatter_section(groups), *adaptation_section(groups)]
        return [*own, *grid.sections(run), *convergence_section(run, groups)]
    table = Table(
        "comparison", "Excess loss over the exact bound in bits/token, and its difference seed by "
        "seed with its 95 % intervals, Student's t and bootstrap (BCa); p by sign flips, adjusted "
        "after Holm", [_comparison_row(one) for one in compared],
    )  # fmt: skip
    parts = [
        Section("Comparison", _caution(compared, groups), (table,), _excess_pictures(groups)),
        *ladder_section(groups, run.tuned),
        *decomposition_section(groups, run.tuned),
        *_curves(run, groups),
        *convergence_section(run, groups),
        *outcome_section(run, groups),
        *adaptation_section(groups),
        *_compression(groups),
    ]
    rows = [
        {**axes_row(group.axes), **_summaries(group, _NUMBERS), **_sizes(group)} for group in groups
    ]
    caption = f"All {len(groups)} settings, means over seeds; losses in bits/token"
    return [
        *parts,
        Section("All numbers", bound_check(groups), (Table("numbers", caption, rows),)),
    ]


def _comparison_row(one: Comparison) -> Row:
    difference, bootstrap = one.result.difference, one.result.bootstrap
    tested = one.equivalence
    return {
        **axes_row(one.axes),
        "pair": spoken(one.first), "excess": one.of_first,
        "minus": spoken(one.second), "excess of that": one.of_second,
        "difference": difference,
        "95 % from": None if difference.n < 2 else difference.low,
        "to": None if difference.n < 2 else difference.high,
        "bootstrap from": None if difference.n < 2 else bootstrap[0],
        "bootstrap to": None if difference.n < 2 else bootstrap[1],
        "p": one.result.p_value if difference.n > 1 else None,
        "p after Holm": one.p_adjusted if difference.n > 1 else None,
        **({} if tested is None else {f"p of within {tested.margin:g}": tested.p_value}),
    }  # fmt: skip


def _caution(compared: list[Comparison], groups: list[Group]) -> str:
    """What this number of seeds can show at best."""
    numbers = [one.result.difference.n for one in compared]
    fewest, most = min(numbers), max(numbers)
    seeds = f"{fewest} to {most}" if fewest < most else f"{most}"
    least = min(1.0, 2.0 ** (1 - most) * len(compared))
    margin = compared[0].equivalence
    equal = (
        "No equivalence is claimed, whatever p: that needs equivalence_margin_bits in the study, "
        "a margin stated before the run." if margin is None else
        f"Equivalence is claimed where two one-sided t tests (TOST) reject a difference beyond "
        f"the study's margin of {margin.margin:g} bits/token at 5 %."
    )  # fmt: skip
    return (
        "Below 0: the first kind is learnt better. Differences pair the runs of one seed; seeds "
        f"vary {_varied(groups)} together. With {seeds} seeds and "
        f"{len(compared)} {'comparison' if len(compared) == 1 else 'comparisons'} the smallest p "
        f"that Holm's adjustment leaves is {least:.2g}. Bootstrap intervals of few seeds come out "
        f"too narrow. {equal}"
    )


def _varied(groups: list[Group]) -> str:
    """What the seeds of a group stand for."""
    for group in groups:
        draws = [record.settings.get(GRAPH_SEED) for record in group.records]
        if len(draws) > 1 and draws[0] is not None and len(set(draws)) == 1:
            return "the data and the initial weights, on one kernel draw,"
    return "the kernel draw, the data and the initial weights"


def _excess_pictures(groups: list[Group]) -> tuple[Picture, ...]:
    shown = [group for group in groups if group.values(METRIC)]
    caption = "Excess loss over the exact bound [bits/token]: mean ± one standard error over seeds."
    return (Picture("excess", caption, lambda: excess_figure(shown)),)


def _curves(run: Run, groups: list[Group]) -> list[Section]:
    curves = [(group, group.curve(run.metrics, METRIC)) for group in groups]
    known = [(group, curve) for group, curve in curves if curve is not None]
    if not known:
        return []
    caption = "Excess loss [bits/token] over training steps: mean over seeds, band ± one s.e."
    num_settings = len(settings_of([group for group, _ in known]))
    if num_settings > MAX_PANELS:
        caption += f" {MAX_PANELS} of {num_settings} settings are drawn."
    picture = Picture("learning_curves", caption, lambda: excess_curves_figure(known))
    return [Section("Learning curves", pictures=(picture,))]


def _compressors(groups: list[Group]) -> list[str]:
    """Names of their numbers in the results."""
    first = groups[0].records[0]
    names = [f"{compressor_label(name)}_bits" for name in first.settings.get("compressors", ())]
    return [name for name in names if name in first.result]


def _compression(groups: list[Group]) -> list[Section]:
    names = _compressors(groups)
    if not names:
        return []
    shown = ("bound_bits", "loss_bits", *names)
    rows = [{**axes_row(group.axes), **_summaries(group, shown)} for group in groups]
    caption = "Bits per token on the held-out set: exact bound, trained model, compressors"
    table = Table("compression", caption, rows)
    picture = Picture(
        "compression", f"{caption}; bars are means, whiskers one standard error over seeds.",
        lambda: bars_figure(groups, shown),
    )  # fmt: skip
    return [Section("Compression", tables=(table,), pictures=(picture,))]


def _summaries(group: Group, names: tuple[str, ...]) -> dict[str, Summary | None]:
    return {name: group.summary(name) for name in names if group.values(name)}


def _sizes(group: Group) -> dict[str, Any]:
    """Parameters and FLOPs: plain numbers where, as usual, all seeds have the same."""
    sizes = {name: group.summary(name) for name in _SIZES if group.values(name)}
    return {
        name: int(size.mean) if size and len(set(group.values(name))) == 1 else size
        for name, size in sizes.items()
    }
