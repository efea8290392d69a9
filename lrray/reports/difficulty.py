"""The picture of a difficulty study: difficulty over log-alphas, its contour, the pairs on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lrray.reports.style import COLORS, figure, save

_LABEL = {"gzip": "gzip difficulty [bytes/token]", "entropy_bits": "exact entropy [bits/token]"}


def write_figures(folder: Path) -> list[Path]:
    """Draws ``contour.png`` and ``.pdf`` from a results folder, one panel per search.

    Returns:
        The PNG files; none where the search measured too little to draw.
    """
    summary = json.loads((folder / "summary.json").read_text())
    surfaces = json.loads((folder / "contour.json").read_text())
    trials = pd.read_csv(folder / "trials.csv")
    if not surfaces:
        return []
    shown = list(surfaces.items())[:6]
    with figure(6.4 * min(len(shown), 3), 4.8 * (1 + (len(shown) > 3))) as drawn:
        panels = drawn.subplots(1 + (len(shown) > 3), min(len(shown), 3), squeeze=False)
        for axes, (name, surface) in zip(panels.flat, shown, strict=False):
            seed = int(name.removeprefix("seed-")) if name.startswith("seed-") else None
            own = trials if seed is None else trials[trials["seed"] == seed]
            pairs = [pair for pair in summary["pairs"] if pair["seed"] == seed]
            _panel(axes, surface, own, pairs, summary)
            if seed is not None:
                axes.set_title(f"seed {seed}", loc="left")
        return [save(drawn, folder, "contour")]


def _panel(
    axes: Axes,
    surface: dict[str, Any],
    trials: pd.DataFrame,
    pairs: list[dict[str, Any]],
    summary: dict[str, Any],
) -> None:
    target = summary["target"]
    alpha_x, alpha_z = np.array(surface["alpha_X"]), np.array(surface["alpha_Z"])
    mean, deviation = np.array(surface["mean"]), np.array(surface["sd"])
    # The process may extrapolate past what was measured: the colours do not.
    low, high = trials["difficulty"].min(), trials["difficulty"].max()
    shading = axes.pcolormesh(
        alpha_x, alpha_z, mean, cmap="cividis", shading="gouraud", vmin=low, vmax=high
    )
    axes.figure.colorbar(shading, ax=axes, label=_LABEL[target["metric"]])
    near = np.abs(mean - target["value"]) - 1.96 * deviation
    axes.contourf(alpha_x, alpha_z, near, levels=[-np.inf, 0], colors=["white"], alpha=0.45)
    axes.scatter(
        trials["alpha_X"], trials["alpha_Z"], s=14, c="white", edgecolors="black",
        linewidths=0.6, label=f"{len(trials)} trials", zorder=3,
    )  # fmt: skip
    for i, line in enumerate(surface["contours"]):
        points = np.array(line["points"])
        label = f"{target['metric']} = {target['value']:g}, 95 % band" if i == 0 else None
        axes.plot(points[:, 0], points[:, 1], color=COLORS[1], lw=2, label=label, zorder=4)
    for pair, marker in zip(pairs, "*Pvd^<>sXo" * 6, strict=False):
        error = pair["difficulty_se"]
        value = f"{pair['difficulty']:.3f}" + (f" ± {error:.3f}" if error is not None else "")
        axes.plot(
            pair["alpha_X"], pair["alpha_Z"], marker, ms=14, mec="black", mfc=COLORS[4], ls="",
            label=f"{pair['name'].replace('_', ' ')}: {value}", clip_on=False, zorder=5,
        )  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel=r"alpha_X  (small: latents easy to infer)",
        ylabel=r"alpha_Z  (small: latents easy to predict)",
        xlim=(alpha_x[0], alpha_x[-1]), ylim=(alpha_z[0], alpha_z[-1]),
    )  # fmt: skip
    axes.legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.9)
