"""What a training study shows beside the excess: shares, KL by position, best steps."""

from __future__ import annotations

import re
from functools import partial

from lrray.reports.content import Picture, Section, Table, axes_row
from lrray.reports.grid.figures import MAX_PANELS
from lrray.reports.train.comparisons import METRIC
from lrray.reports.train.figures import (
    excess_curves_figure,
    excess_figure,
    kl_by_position_figure,
    settings_of,
)
from lrray.results.groups import Group, label, varying
from lrray.results.run import Run

OUTCOMES = (
    "share_captured", "share_beyond_trigram", "late_loss_bits", "kl_bits", METRIC, "best_step",
    "best_excess_bits", "best_share_captured",
)  # fmt: skip
"""Numbers of the table, in its order."""

_SHARES = {
    "share_captured": "Share of the information beyond token frequencies that is captured",
    "share_beyond_trigram": "Share captured of what trigrams leave",
}

OVERTRAINED_BITS = 0.02
"""Excess by which the last step must be worse than the best for the report to say so."""

_POSITION = re.compile(r"kl_by_position_bits/(\d+)(?:-(\d+))?")


def outcome_section(run: Run, groups: list[Group]) -> list[Section]:
    """Shares, KL and best steps; none for a run whose cells hold none of them."""
    known = [group for group in groups if _any(group, ("share_captured", "kl_bits", "best_step"))]
    if not known:
        return []
    rows = [
        {
            **axes_row(group.axes),
            **{name: group.summary(name) for name in OUTCOMES if group.values(name)},
        }
        for group in known
    ]
    caption = (
        "Shares of the information captured, loss in the last tenth of positions, KL divergence "
        "from the exact predictions and excess in bits/token at the last step, and the best "
        "evaluated step; means over seeds"
    )
    pictures = (*_share_pictures(groups), *_share_curves(run, groups), *_position_picture(groups))
    text = " ".join([*_without_kl(groups), *_overtrained(groups)])
    return [Section("Beside the excess", text, (Table("outcomes", caption, rows),), pictures)]


def _share_pictures(groups: list[Group]) -> list[Picture]:
    pictures = []
    for name, meaning in _SHARES.items():
        shown = [group for group in groups if group.values(name)]
        if shown:
            caption = f"{meaning}: mean ± one standard error over seeds."
            pictures.append(Picture(name, caption, partial(excess_figure, shown, name)))
    return pictures


def _share_curves(run: Run, groups: list[Group]) -> list[Picture]:
    pictures = []
    for name, meaning in _SHARES.items():
        curves = [(group, group.curve(run.metrics, name)) for group in groups]
        known = [(group, curve) for group, curve in curves if curve is not None]
        if known and max(len(curve.steps) for _, curve in known) > 1:
            caption = f"{meaning}, over training steps: mean over seeds, band ± one s.e."
            if (number := len(settings_of([group for group, _ in known]))) > MAX_PANELS:
                caption += f" {MAX_PANELS} of {number} settings are drawn."
            draw = partial(excess_curves_figure, known, name)
            pictures.append(Picture(f"{name}_curves", caption, draw))
    return pictures


def _position_picture(groups: list[Group]) -> list[Picture]:
    by_position = [(group, kl_by_position(group)) for group in groups]
    known = [(group, own) for group, own in by_position if len(own) > 1]
    if not known:
        return []
    caption = (
        "KL divergence from the exact predictive distribution to the model's [bits/token] by "
        "position in the sequence: means over seeds, whiskers one standard error."
    )
    return [Picture("kl_by_position", caption, lambda: kl_by_position_figure(known))]


def kl_by_position(group: Group) -> dict[float, str]:
    """Middle of each octave of positions -> name of the number that holds its divergence."""
    found = {}
    for name in dict.fromkeys(name for record in group.records for name in record.result):
        if octave := _POSITION.fullmatch(name):
            first = int(octave[1])
            found[(first * int(octave[2] or first)) ** 0.5] = name
    return dict(sorted(found.items()))


def _without_kl(groups: list[Group]) -> list[str]:
    """Says of which settings no divergence is known, and why that may be."""
    without = [group for group in groups if not group.values("kl_bits")]
    if not without:
        return []
    which = "all" if len(without) == len(groups) else f"{len(without)} of {len(groups)}"
    return [
        f"No KL to the exact predictions for {which} settings: graphs with context nodes have no "
        "closed form, large ones take too long, and earlier versions did not measure it."
    ]


def _overtrained(groups: list[Group]) -> list[str]:
    """Where the last step is worse than the best one, as where few sequences are memorised."""
    worse = []
    for group in groups:
        last, best = group.summary(METRIC), group.summary("best_excess_bits")
        if last is not None and best is not None and last.mean - best.mean > OVERTRAINED_BITS:
            worse.append((last.mean - best.mean, last.mean, best.mean, group))
    if not worse:
        return []
    _, last_bits, best_bits, group = max(worse, key=lambda one: one[0])
    own = {name: group.axes[name] for name in varying(groups) if name in group.axes}
    return [
        f"In {len(worse)} of {len(groups)} settings the last step's excess is more than "
        f"{OVERTRAINED_BITS:g} bits above that of the best step; most with {label(own)}: "
        f"{last_bits:.3f} against {best_bits:.3f} bits/token."
    ]


def _any(group: Group, names: tuple[str, ...]) -> bool:
    return any(group.values(name) for name in names)
