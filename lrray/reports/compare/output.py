"""What ``lrray compare`` writes and shows: tables, CSV files, the figure, a W&B run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from lrray.errors import LrrayError
from lrray.files import write_whole
from lrray.reports.compare.comparison import Comparison
from lrray.reports.tables import frame_to_csv
from lrray.studies.tracking import WandbMode
from lrray.text import with_error
from lrray.tracking.wandb_files import wait_for_end

_TABLES = ("curves", "contour_errors", "series", "paired")


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes the tables as CSV and, of searches, ``compare.png`` and ``.pdf``.

    Raises:
        LrrayError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{name}.csv" for name in _TABLES if len(getattr(comparison, name))]
        for file in files:
            write_whole(file, frame_to_csv(getattr(comparison, file.stem)))
    except OSError as error:
        raise LrrayError(
            str(folder), f"cannot be written: {error.strerror}", fix="give another --out"
        ) from None
    if len(comparison.curves):
        from lrray.reports.compare.figure import draw  # and matplotlib, which tables do without

        files.append(draw(comparison, folder))
    return files


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
        firsts = comparison.paired["a"].unique()
        told = f"{firsts[0] or 'search'} minus the others, " if len(firsts) == 1 else ""
        console.print(f"{told}pair by pair", soft_wrap=True, markup=False)
        console.print(_paired(comparison.paired, one_first=len(firsts) == 1))
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


def _paired(rows: pd.DataFrame, one_first: bool) -> Table:
    """The differences; what comes first is named in every row where it is not the same in all."""
    firsts = [] if one_first else ["of"]
    table = Table(
        "number", *firsts, "minus", "pairs", "difference", "p", "p (Holm)", box=SIMPLE_HEAD
    )
    for row in rows.to_dict("records"):
        difference = with_error(row["difference"], row["difference_se"])
        p_values = [f"{row[name]:.3g}" for name in ("p", "p_holm")]
        names = [row["b"] or "search"] if one_first else [row["a"], row["b"]]
        cells = [row["number"], *names, str(row["pairs"]), difference, *p_values]
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
