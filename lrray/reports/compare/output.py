"""What ``lrray compare`` writes and shows: tables, CSV files, the figure, a W&B run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from lrray.errors import LrrayError
from lrray.reports.compare.comparison import Comparison
from lrray.reports.style import COLORS, figure, save
from lrray.reports.tables import frame_to_csv
from lrray.studies.schema import WandbMode
from lrray.text import with_error
from lrray.tracking.wandb_files import wait_for_end

_TABLES = ("curves", "contour_errors", "series", "paired")
_TIMES = 200
"""Points in time at which a series' searches are averaged."""


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes the tables as CSV and, of searches, ``compare.png`` and ``.pdf``.

    Raises:
        LrrayError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{name}.csv" for name in _TABLES if len(getattr(comparison, name))]
        for file in files:
            file.write_text(frame_to_csv(getattr(comparison, file.stem)), encoding="utf-8")
    except OSError as error:
        raise LrrayError(
            str(folder), f"cannot be written: {error.strerror}", fix="give another --out"
        ) from None
    if len(comparison.curves):
        files.append(_draw(comparison, folder))
    return files


def _draw(comparison: Comparison, folder: Path) -> Path:
    """Best so far against evaluations and seconds, and contour errors where there are any."""
    curves, errors = comparison.curves, comparison.contour_errors
    series = list(dict.fromkeys(curves["series"]))
    num_panels = 3 if errors["contour_error"].notna().any() else 2
    with figure(5.2 * num_panels, 4.2) as drawn:
        panels = drawn.subplots(1, num_panels)
        for name, color in zip(series, COLORS * len(series), strict=False):
            own = [part for _, part in curves[curves["series"] == name].groupby("match")]
            _band(panels[0], *_over_evaluations(own), name, color)
            _band(panels[1], *_over_seconds(own), name, color)
            if num_panels == 3:
                mine = errors[errors["series"] == name]
                table = mine.pivot(index="match", columns="evaluations", values="contour_error")
                _band(panels[2], table.columns.to_numpy(float), table.to_numpy(), name, color)
        word = "smallest" if comparison.goal == "minimize" else "largest"
        for axes, label in zip(panels, ("evaluations", "seconds of evaluation"), strict=False):
            axes.set(xlabel=label, ylabel=f"{word} {comparison.metric} so far")
            if (curves["best"] > 0).all():
                axes.set_yscale("log")
        if num_panels == 3:
            panels[2].set(xlabel="evaluations", ylabel="contour error [ln alpha]")
            panels[2].set_yscale("log")
        panels[0].legend(fontsize=8)
        panels[0].set_title("mean ± standard error over searches", loc="left", fontsize=9)
        return save(drawn, folder, "compare")


def _over_evaluations(
    parts: Iterable[pd.DataFrame],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evaluations that all searches have ``[n]``, and each one's best by then ``[searches, n]``."""
    best = [part["best"].to_numpy(float) for part in parts]
    n = min(map(len, best))
    return np.arange(1.0, n + 1), np.array([values[:n] for values in best])


def _over_seconds(
    parts: Iterable[pd.DataFrame],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times ``[n]``, and each search's best by then ``[searches, n]``.

    From when all have a value until the first of them ends, so that a mean is over the same
    searches throughout and cannot get worse; empty where one begins after another's end.
    """
    known = [(part["seconds"].to_numpy(float), part["best"].to_numpy(float)) for part in parts]
    begin, end = max(at[0] for at, _ in known), min(at[-1] for at, _ in known)
    times = np.linspace(begin, end, _TIMES if begin <= end else 0)
    rows = [best[np.searchsorted(at, times, side="right") - 1] for at, best in known]
    return times, np.array(rows)


def _band(
    axes: Axes, x: NDArray[np.float64], rows: NDArray[np.float64], name: str, color: str
) -> None:
    """Mean over searches with its standard error, over those that have a value."""
    there = np.isfinite(rows)
    n = there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there, rows, 0).sum(axis=0) / n
        squares = np.where(there, (rows - mean) ** 2, 0).sum(axis=0)
        error = np.sqrt(squares / (n - 1) / n)
    axes.plot(x, mean, color=color, lw=1.6, label=name or "search")
    if len(rows) > 1:
        axes.fill_between(x, mean - error, mean + error, color=color, alpha=0.2, lw=0)


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Prints the series and the paired differences."""
    if len(comparison.series):
        n = comparison.series["evaluations"].iloc[0]
        console.print(f"after {n} evaluations, mean ± standard error over searches")
        console.print(_series(comparison))
    if comparison.reference:
        console.print(
            f"contour error: mean distance to {comparison.reference}, in units of ln alpha\n",
            soft_wrap=True,
            markup=False,
        )
    if len(comparison.paired):
        first = comparison.paired["a"].iloc[0] or "search"
        console.print(f"{first} minus the others, pair by pair", soft_wrap=True, markup=False)
        console.print(_paired(comparison.paired))
        console.print("p: sign-flip test, two-sided; Holm over each number's rows")


def _series(comparison: Comparison) -> Table:
    word = "smallest" if comparison.goal == "minimize" else "largest"
    best = Column(Text(f"{word} {comparison.metric}"))
    has_contour = "contour_error" in comparison.series
    table = Table(
        "series", "searches", best, "seconds", *["contour error"] * has_contour, box=SIMPLE_HEAD
    )
    for row in comparison.series.to_dict("records"):
        cells = [row["series"] or "search", str(row["searches"])]
        cells += [with_error(row[name], row[f"{name}_se"]) for name in ("best", "seconds")]
        if has_contour:
            cells.append(_contour_cell(row))
        table.add_row(*map(Text, cells))
    return table


def _contour_cell(row: Mapping[Any, Any]) -> str:
    if not row.get("contours_found") or pd.isna(row["contours_found"]):
        return "no contour"
    text = with_error(row["contour_error"], row["contour_error_se"])
    missing = row["searches"] - row["contours_found"]
    return f"{text} ({missing:.0f} without)" if missing else text


def _paired(rows: pd.DataFrame) -> Table:
    table = Table("number", "minus", "pairs", "difference", "p", "p (Holm)", box=SIMPLE_HEAD)
    for row in rows.to_dict("records"):
        difference = with_error(row["difference"], row["difference_se"])
        p_values = [f"{row[name]:.3g}" for name in ("p", "p_holm")]
        cells = [row["number"], row["b"] or "search", str(row["pairs"]), difference, *p_values]
        table.add_row(*map(Text, cells))
    return table


def log_to_wandb(
    comparison: Comparison, files: list[Path], mode: WandbMode, project: str
) -> str | None:
    """Logs tables and figure as one W&B run in the folder of the files.

    Returns:
        What went wrong, or None; the files are there either way.
    """
    import wandb

    folder = files[0].parent
    try:
        with wandb.init(
            project=project, mode=mode, dir=str(folder), job_type="compare", name=folder.name,
            settings=wandb.Settings(silent=True, console="off", init_timeout=20),
        ) as run:  # fmt: skip
            for file in files:
                if file.suffix == ".csv":
                    run.log({file.stem: wandb.Table(dataframe=getattr(comparison, file.stem))})
                else:
                    run.log({file.stem: wandb.Image(str(file))})
        wait_for_end(Path(run.dir).parent)
    except Exception as error:  # an outage must not take the comparison away
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None
