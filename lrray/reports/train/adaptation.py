"""What a switched latent costs a model beside what it costs the exact predictions."""

from __future__ import annotations

import re

import numpy as np
from matplotlib.figure import Figure

from lrray.reports.content import Picture, Section, Table, axes_row
from lrray.reports.grid.figures import MAX_PANELS, lay_out, size
from lrray.reports.style import COLORS, figure
from lrray.results.groups import Group, label, varying

_NUMBERS = ("kl_after_switch_bits", "kl_without_switch_bits", "kl_switch_cost_bits")
_KINDS = {"after": "after the switch", "without": "without a switch"}
_DISTANCE = re.compile(r"kl_(after|without)_switch_by_distance_bits/(\d+)(?:-(\d+))?")


def adaptation_section(groups: list[Group]) -> list[Section]:
    """KL after a switch and without one; nothing where no cell has measured it."""
    known = [group for group in groups if group.values(_NUMBERS[0])]
    if not known:
        return []
    rows = [
        {
            **axes_row(group.axes),
            **{name: group.summary(name) for name in _NUMBERS},
        }
        for group in known
    ]
    caption = (
        "KL from the exact predictions to the model's in bits/token on the tokens after a latent "
        "is switched, on the same sequences without the switch, and the difference, over seeds"
    )
    text = (
        "The exact predictions know of no switch either, so their own surprise does not count: the "
        "difference is what the model is slower by in following the latent."
    )
    shown = known[:MAX_PANELS]
    picture = Picture(
        "adaptation", "KL to the exact predictions by distance from the switch, with and without: "
        "means over seeds, whiskers one standard error.", lambda: adaptation_figure(shown),
    )  # fmt: skip
    return [Section("After a switch", text, (Table("adaptation", caption, rows),), (picture,))]


def by_distance(group: Group) -> dict[str, dict[float, str]]:
    """``after`` and ``without`` -> middle of each octave of distances -> name of its number."""
    found: dict[str, dict[float, str]] = {kind: {} for kind in _KINDS}
    for name in dict.fromkeys(name for record in group.records for name in record.result):
        if octave := _DISTANCE.fullmatch(name):
            first = int(octave[2])
            found[octave[1]][(first * int(octave[3] or first)) ** 0.5] = name
    return {kind: dict(sorted(own.items())) for kind, own in found.items()}


def adaptation_figure(groups: list[Group]) -> Figure:
    """A panel per setting with both curves."""
    names = varying(groups)
    titles = [label({k: v for k, v in g.axes.items() if k in names}) for g in groups]
    with figure(*size(len(groups))) as drawn:
        for axes, group in zip(lay_out(drawn, titles), groups, strict=True):
            for (kind, own), color in zip(by_distance(group).items(), COLORS, strict=False):
                known = {x: s for x, name in own.items() if (s := group.summary(name))}
                axes.errorbar(
                    list(known), [s.mean for s in known.values()],
                    np.nan_to_num([s.standard_error for s in known.values()]),
                    marker="o", ms=4.5, lw=1.5, capsize=2.5, label=_KINDS[kind], color=color,
                )  # fmt: skip
            axes.set_xscale("log", base=2)
            axes.set_ylim(bottom=0)
            axes.set(xlabel="tokens after the switch", ylabel="KL [bits/token]")
            axes.label_outer()
            axes.legend(fontsize=8)
    return drawn
