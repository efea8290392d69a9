"""``lrray compare``: studies, W&B runs and W&B sweeps side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from lrray.cli.notice import saying
from lrray.errors import LrrayError

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="[NAME=]RUN...",
        help="A run's or study's results folder, W&B run folders, or wandb:entity/project/sweep.",
    ),
]


def compare(
    sources: Sources,
    out: Annotated[Path, typer.Option(help="Folder for tables and figure.")] = Path("compare"),
    by: Annotated[
        str | None,
        typer.Option(metavar="AXIS", help="Compare the values of this axis within a single run."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Number by which W&B runs are judged: objective.")
    ] = None,
    maximize: Annotated[bool, typer.Option("--maximize", help="Large is good.")] = False,
    reference: Annotated[
        str | None,
        typer.Option(help="Run that gives the reference contour; default: all runs pooled."),
    ] = None,
    wandb: Annotated[
        Literal["offline", "online"] | None, typer.Option(help="Log the comparison as a W&B run.")
    ] = None,
    project: Annotated[str, typer.Option(help="W&B project for that.")] = "lrray",
) -> None:
    """Compare searches by evaluations, seconds and contours, and equal cells pair by pair."""
    from lrray.reports.compare.by_axis import compare_by
    from lrray.reports.compare.comparison import compare as compare_sources
    from lrray.reports.compare.output import log_to_wandb, show_comparison, write_comparison

    console = Console(highlight=False, markup=False)
    goal: Literal["minimize", "maximize"] = "maximize" if maximize else "minimize"
    if by is not None and len(sources) > 1:
        raise LrrayError("--by", "needs a single run", got=sources, fix="name one of them")
    with saying("reading the runs"):
        comparison = (
            compare_sources(sources, metric, goal, reference)
            if by is None
            else compare_by(sources[0], by)
        )
    files = write_comparison(comparison, out)
    show_comparison(comparison, console)
    if wandb is not None:
        trouble = log_to_wandb(comparison, files, wandb, project)
        if trouble is not None:
            console.print(f"W&B did not take it: {trouble}", soft_wrap=True)
    for file in files:
        console.print(str(file), soft_wrap=True)
