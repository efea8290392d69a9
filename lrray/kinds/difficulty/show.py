"""What a difficulty study says on the terminal: its plan and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrray.kinds.difficulty.results import UNITS, Outcome, outcomes
from lrray.kinds.pairs import FoundPair
from lrray.studies.axes import axes_label
from lrray.text import with_error


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Prints the matched pairs, target by target."""
    for outcome in outcomes(summary):
        if outcome.pairs:
            _show_pairs(outcome, console)
        for point in outcome.without_pair:
            console.print(_why_none(point, outcome, summary), markup=False)
        for note in outcome.notes:
            console.print(note, markup=False)


def _why_none(point: dict[str, Any], outcome: Outcome, summary: Mapping[str, Any]) -> str:
    where = f" for {axes_label(point['axes'])}" if point["axes"] else ""
    low, high = point["range"]
    value = outcome.target["value"]
    if low != low:
        return f"No pair{where}: no trial was measured."
    if point.get("notes"):  # they say why
        return f"No pair{where}."
    if low < value < high and summary["failed"]:
        return f"No pair{where}: measuring them again failed."
    return (
        f"No pair{where}: difficulty ran from {low:.3f} to {high:.3f} "
        f"{UNITS[outcome.target['metric']]} over the search space and never met {value:g}. "
        "Widen search_space or move target.value."
    )


def _show_pairs(outcome: Outcome, console: Console) -> None:
    console.print(
        f"\nPairs of {outcome.aim} {UNITS[outcome.target['metric']]}, measured again on fresh "
        f"{outcome.fresh}"
    )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    headings = ["pair", "alpha_X", "alpha_Z", "gzip\nbytes/token", "entropy\nbits/token", ""]
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i == 0 else "right", no_wrap=True)
    for pair in outcome.shown:
        seed = "" if pair.seed is None else f" (seed {pair.seed})"
        name = " ".join([pair.name.replace("_", " ") + seed, axes_label(pair.axes)])
        table.add_row(
            Text(name.rstrip()),
            f"{pair.alpha_X:.4g}",
            f"{pair.alpha_Z:.4g}",
            _with_error(pair, "gzip"),
            _with_error(pair, "entropy_bits"),
            Text("ok", "green") if pair.within_tolerance else Text("misses", "red"),
        )
    console.print(table)
    for told in outcome.against_each_other:
        console.print(told, markup=False)


def _with_error(pair: FoundPair, metric: str) -> str:
    return with_error(*pair.measured[metric]) if metric in pair.measured else "–"
