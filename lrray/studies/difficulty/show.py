"""What a difficulty study says on the terminal: its plan and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lrray.studies.difficulty.settings import DifficultyStudy
from lrray.studies.grid import GridPoint
from lrray.studies.identity import axis_name

_UNITS = {"gzip": "bytes/token", "entropy_bits": "bits/token"}


def show(summary: dict[str, Any], points: Sequence[GridPoint], console: Console) -> bool:
    """Prints the table of matched pairs; returns whether all of them meet the target."""
    study: DifficultyStudy = points[0].study
    target = study.target
    unit = _UNITS[target.metric]
    if not summary["pairs"]:
        low, high = summary["range"]
        if low != low:
            console.print("No pair: no trial was measured.")
            return False
        if low < target.value < high and summary["failed"]:
            console.print("No pair: measuring them again failed.")
            return False
        console.print(
            f"No pair: difficulty ran from {low:.3f} to {high:.3f} {unit} over the search space "
            f"and never met {target.value:g}. Widen search_space or move target.value."
        )
        return False
    fresh = "sequences" if study.match == "per_seed" else "kernel draws"
    console.print(
        f"\nPairs of {target.metric} = {target.value:g} {unit}, measured again on fresh {fresh}"
    )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    headings = ["pair", "alpha_X", "alpha_Z", "gzip\nbytes/token", "entropy\nbits/token", ""]
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i == 0 else "right", no_wrap=True)
    for pair in summary["pairs"]:
        seed = "" if pair["seed"] is None else f" (seed {pair['seed']})"
        axes = "".join(f" {axis_name(name)}={pair[name]}" for name in points[0].axes)
        table.add_row(
            pair["name"].replace("_", " ") + seed + axes,
            f"{pair['alpha_X']:.4g}",
            f"{pair['alpha_Z']:.4g}",
            _with_error(pair, "gzip", 4),
            _with_error(pair, "entropy_bits", 3),
            "[green]ok[/green]" if pair["within_tolerance"] else "[red]misses[/red]",
        )
    console.print(table)
    return all(pair["within_tolerance"] for pair in summary["pairs"])


def _with_error(pair: dict[str, Any], name: str, digits: int) -> str:
    if pair.get(name) is None:
        return "–"
    error = pair.get(f"{name}_se")
    return f"{pair[name]:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")
