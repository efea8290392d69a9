"""The report of a difficulty study: difficulty over log-alphas, its contour, the pairs on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrray.json_text import read_json
from lrray.kinds.difficulty.results import UNITS, Outcome, outcomes
from lrray.kinds.pairs import FoundPair
from lrray.reports.compare.traces import ALPHAS
from lrray.reports.content import Picture, Row, Section, Table
from lrray.reports.style import COLORS, figure
from lrray.results.groups import label
from lrray.results.run import Run
from lrray.statistics import Summary, measured
from lrray.text import in_words, with_error

MAX_PANELS = 6

_LINE_WIDTH = 1.2
"""Of the contour, in points: as thin as can be seen, for its band is often not much wider."""

_LABEL = {"gzip": "gzip difficulty [bytes/token]", "entropy_bits": "exact entropy [bits/token]"}

_UNITS = "gzip in bytes/token, entropy in bits/token"


def answer(run: Run) -> str:
    """The pairs with their difficulty, or why there is none, target by target."""
    if not run.summary:
        return "The run has not ended: there is no contour yet."
    return " ".join(_answer(outcome) for outcome in outcomes(run.summary))


def _answer(outcome: Outcome) -> str:
    target, pairs = outcome.target, outcome.shown
    aim = f"{outcome.aim} {UNITS[target['metric']]}"
    if not pairs:
        if outcome.range is None:
            return "None: no trial was measured."
        if outcome.notes:
            return " ".join(["None.", *outcome.notes])
        low, high = outcome.range
        return f"None: difficulty ran from {low:.4g} to {high:.4g} and never met {aim}."
    told = [
        f"(alpha_X, alpha_Z) = ({pair.alpha_X:.4g}, {pair.alpha_Z:.4g}){_where(pair)} with "
        f"{in_words(_of_pair(pair, target['metric']))}"
        for pair in pairs[:2]
    ]
    more = f", and {len(pairs) - 2} more" if len(pairs) > 2 else ""
    good = sum(pair.within_tolerance for pair in pairs)
    lacking = ", ".join(label(point["axes"]) for point in outcome.without_pair)
    return (
        f"Equally hard at {aim}: {' and '.join(told)}{more}; {good} of {len(pairs)} pairs lie "
        f"within {target['tolerance']:g}{f'; no pair for {lacking}' if lacking else ''}."
    )


def _where(pair: FoundPair) -> str:
    """The grid point of a pair, where the study has several."""
    return f" for {label(pair.axes)}" if pair.axes else ""


def sections(run: Run) -> list[Section]:
    """The contour, the pairs and the trials; nothing before the run has ended."""
    summary = run.summary
    if not summary:
        done = sum(record.state == "done" for record in run.wanted_records())
        return [Section("So far", f"{done} cells are done; the results are written at the end.")]
    trials, found = _trials(run), outcomes(summary)
    text = _contour_text(len(trials), found)
    parts = [Section("Contour", text, pictures=_pictures(run, found, trials))]
    if summary["pairs"]:
        fresh = _or(outcome.fresh for outcome in found)
        caption = f"Matched pairs, measured again on fresh {fresh}; {_UNITS}"
        rows = [_pair_row(pair, found) for outcome in found for pair in outcome.shown]
        told = " ".join(line for outcome in found for line in outcome.against_each_other)
        parts.append(
            Section("Pairs", told, tables=(Table("pairs", caption, rows), *_differences(found)))
        )
    draws = _draws(found)
    rows = [_trial_row(trial, draws) for trial in trials.to_dict("records")]
    caption = f"All {len(rows)} trials of the search, in the order proposed; {_UNITS}"
    return [*parts, Section("Search", tables=(Table("search", caption, rows),))]


def _or(words: Iterable[Any]) -> str:
    return " or ".join(dict.fromkeys(map(str, words)))


def _draws(found: list[Outcome]) -> dict[str, int]:
    """Kernel draws of a trial, by the name of its search."""
    points = [point for outcome in found for point in outcome.points]
    return {name: point["seeds_per_trial"] for point in points for name in point["searches"]}


def _trials(run: Run) -> pd.DataFrame:
    trials = run.table("trials.csv")
    return pd.DataFrame() if trials is None else trials


def _contour_text(num_trials: int, found: list[Outcome]) -> str:
    draws = _or(_draws(found).values())
    placed = (
        f"{num_trials} trials, each over {draws} kernel draw{'s' * (draws != '1')}, were placed "
        f"where they tell most about the line {_or(outcome.aim for outcome in found)}."
    )
    return " ".join([placed, *(note for outcome in found for note in outcome.notes)])


def _of_pair(pair: FoundPair, metric: str) -> Summary:
    return measured(*pair.measured[metric], pair.num_seeds_of(metric))


def _pair_row(pair: FoundPair, found: list[Outcome]) -> Row:
    tolerance = _or(f"{outcome.target['tolerance']:g}" for outcome in found)
    seed = {} if pair.seed is None else {"seed": pair.seed}
    return {
        "pair": pair.name.replace("_", " "), **pair.axes,
        "alpha_X": pair.alpha_X, "alpha_Z": pair.alpha_Z, **seed,
        **{name: _of_pair(pair, name) for name in pair.measured},
        f"within {tolerance}": pair.within_tolerance,
    }  # fmt: skip


def _differences(found: list[Outcome]) -> tuple[Table, ...]:
    """Pairs tested against each other, where there are two."""
    rows: list[Row] = [
        {
            "pair": one.first.replace("_", " "), "minus": one.second.replace("_", " "),
            **one.axes, "number": one.metric, "difference": one.difference,
            "95 % from": one.difference.low, "to": one.difference.high, "margin": one.margin,
            "p of equivalence": one.p_equivalent,
        }
        for outcome in found for one in outcome.differences
    ]  # fmt: skip
    caption = (
        "Pairs against each other, on the measurements above: a p of equivalence (TOST) below 0.05 "
        "shows that they differ by less than the margin"
    )
    return (Table("pairs_compared", caption, rows),) if rows else ()


def _trial_row(trial: Mapping[Any, Any], draws: Mapping[str, int]) -> Row:
    metrics = [name for name in trial if f"{name}_se" in trial and name != "difficulty"]
    hidden = {
        "search",
        "difficulty",
        "difficulty_se",
        "seconds",
        *metrics,
        *(f"{m}_se" for m in metrics),
    }
    settings = {str(k): v for k, v in trial.items() if k not in hidden}
    n = draws[str(trial["search"])]
    numbers = {
        str(name): measured(float(trial[name]), float(trial[f"{name}_se"]), n) for name in metrics
    }
    return {**settings, **numbers}


def _pictures(run: Run, found: list[Outcome], trials: pd.DataFrame) -> tuple[Picture, ...]:
    surfaces = read_json(run.path / "contour.json")
    if not surfaces:
        return ()
    caption = (
        f"Difficulty over the alphas as the Gaussian process sees it; the line is "
        f"{_or(outcome.aim for outcome in found)} with its 95 % band."
    )
    if len(surfaces) > MAX_PANELS:
        caption += f" The first {MAX_PANELS} of {len(surfaces)} searches."
    return (Picture("contour", caption, lambda: _contour(surfaces, found, trials)),)


def _contour(surfaces: dict[str, Any], found: list[Outcome], trials: pd.DataFrame) -> Figure:
    shown = list(surfaces.items())[:MAX_PANELS]
    columns, rows = min(len(shown), 3), 1 + (len(shown) > 3)
    names = trials["search"].astype(str)
    all_pairs = [pair for outcome in found for pair in outcome.shown]
    with figure(6.4 * columns, 4.8 * rows) as drawn:
        panels = drawn.subplots(rows, columns, squeeze=False)
        for axes, (name, surface) in zip(panels.flat, shown, strict=False):
            pairs = [pair for pair in all_pairs if pair.search == name]
            target = surface.get("target", found[0].target)
            _panel(axes, surface, trials[names == name], pairs, target)
            if len(surfaces) > 1:
                axes.set_title(name.removesuffix(" mean").replace("seed-", "seed "), loc="left")
        for axes in list(panels.flat)[len(shown) :]:
            axes.remove()
    return drawn


def _panel(
    axes: Axes,
    surface: dict[str, Any],
    trials: pd.DataFrame,
    pairs: list[FoundPair],
    target: Mapping[str, Any],
) -> None:
    alpha_x, alpha_z = np.array(surface["alpha_X"]), np.array(surface["alpha_Z"])
    mean = np.array(surface["mean"])
    # The process may extrapolate past what was measured: the colours do not.
    low, high = trials["difficulty"].min(), trials["difficulty"].max()
    shading = axes.pcolormesh(
        alpha_x, alpha_z, mean, cmap="cividis", shading="gouraud", vmin=low, vmax=high,
        rasterized=True,
    )  # fmt: skip
    axes.figure.colorbar(shading, ax=axes, label=_LABEL[target["metric"]])
    axes.scatter(
        trials["alpha_X"], trials["alpha_Z"], s=14, c="white", edgecolors="black",
        linewidths=0.6, label=f"{len(trials)} trials", zorder=3,
    )  # fmt: skip
    width = _band(axes, surface, target["value"])
    band = "95 % band" if width > _LINE_WIDTH else "95 % band within the line"
    for i, line in enumerate(surface["contours"]):
        points = np.array(line["points"])
        label = f"{target['metric']} = {target['value']:g}, {band}" if i == 0 else None
        axes.plot(
            points[:, 0], points[:, 1], color=COLORS[1], lw=_LINE_WIDTH, label=label, zorder=4
        )
    for pair, marker in zip(pairs, "*Pvd^<>sXo" * 6, strict=False):
        value = with_error(pair.difficulty, pair.difficulty_se)
        axes.plot(
            pair.alpha_X, pair.alpha_Z, marker, ms=14, mec="black", mfc=COLORS[4], ls="",
            label=f"{pair.name.replace('_', ' ')}: {value}", clip_on=False, zorder=5,
        )  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel=r"alpha_X  (small: latents easy to infer)",
        ylabel=r"alpha_Z  (small: latents easy to predict)",
        xlim=(alpha_x[0], alpha_x[-1]), ylim=(alpha_z[0], alpha_z[-1]),
    )  # fmt: skip
    axes.legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.9)


def _band(axes: Axes, surface: dict[str, Any], target: float) -> float:
    """Where the level may lie, filled and with its edges; returns its largest width in points."""
    from scipy.ndimage import zoom

    # Bands are often narrower than the grid is wide, so they are drawn on a finer one.
    mean, reach = (zoom(np.array(surface[name]), 8, order=1) for name in ("mean", "sd"))
    reach *= 1.96
    beyond = np.abs(mean - target) - reach
    alpha_x, alpha_z = (
        np.geomspace(surface[name][0], surface[name][-1], len(mean)) for name in ALPHAS
    )
    inside = beyond <= 0
    if not inside.any():
        return 0.0
    axes.contourf(alpha_x, alpha_z, beyond, levels=[-np.inf, 0], colors=["white"], alpha=0.5)
    axes.contour(alpha_x, alpha_z, beyond, levels=[0], colors=["black"], linewidths=0.5)
    points = 72 / axes.figure.dpi / (len(mean) - 1)
    slope = np.hypot(*np.gradient(mean, axes.bbox.height * points, axes.bbox.width * points))
    return float((2 * reach[inside] / np.maximum(slope[inside], 1e-12)).max())
