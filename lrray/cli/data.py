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
    from lrray.kinds.train.kind import Study
    from lrray.studies.grid import expand
    from lrray.studies.load import read_study, study_kind

    data, path = read_study(name, overrides or [])
    study_kind(data, path, ["train"])
    points = expand(data, Study, str(path))
    needed = needed_data([point.study.cell_settings() for point in points])
    if not needed:
        raise LrrayError(
            str(path), "needs no data files: its data are infinite",
            fix="set train.num_train_sequences",
        )  # fmt: skip
    import ray

    from lrray.execution.cluster import start_ray

    start_ray(address)
    folder = (out / path.stem / "data").resolve()
    written = ray.remote(num_cpus=1, max_retries=3)(NeededData.make)
    try:
        results = ray.get([written.remote(one, folder) for one in needed])
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LrrayError):  # Ray's own shows the worker's traceback
            raise error.cause from None
        raise
    Console(highlight=False, markup=False).print(
        f"{sum(results)} files written, {len(results) - sum(results)} were there: {folder}",
        soft_wrap=True,
    )
