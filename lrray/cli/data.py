"""``lrray data make STUDY``: writes the data files of a finite-data study ahead of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lrray.errors import LrrayError

app = typer.Typer(no_args_is_help=True, help="Data files of finite-data studies.")


@app.callback()
def _commands() -> None:
    """Data files of finite-data studies."""


@app.command()
def make(
    name: Annotated[str, typer.Argument(help="A study, by name or file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value]...", help="Settings to change.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("results"),
    address: Annotated[str, typer.Option(help="Ray cluster: local, auto, or HOST:PORT.")] = "local",
) -> None:
    """Write the HDF5 files that a study's cells read, in parallel, to OUT/STUDY/data.

    One file serves all cells on the same kernel draw, whatever their number of sequences. Whole
    files are left alone and damaged ones replaced, so the command can be given again at any time.
    """
    from lrray.kinds.train.data import NeededData, needed_data
    from lrray.studies.load import load_study

    study = load_study(name, overrides or [])
    if study.first.kind != "train":
        raise LrrayError(f"{study.path}: kind", "must be train", got=study.first.kind)
    needed = needed_data([point.study.cell_settings() for point in study.points])
    if not needed:
        raise LrrayError(
            str(study.path), "needs no data files: its data are infinite",
            fix="set train.num_train_sequences",
        )  # fmt: skip
    from lrray.execution.cluster import run_tasks, start_ray
    from lrray.execution.process_group import Workers
    from lrray.execution.ray_watch import ray_watched

    start_ray(address)
    folder = (out / study.name / "data").resolve()
    console = Console(highlight=False, markup=False)
    with ray_watched("the same command", console.print, Workers()):
        results = run_tasks(NeededData.make, [(one, folder) for one in needed])
    console.print(
        f"{sum(results)} files written, {len(results) - sum(results)} were there: {folder}",
        soft_wrap=True,
    )
