"""``lrray sweep``: studies as W&B sweep files and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lrray.errors import LrrayError

if TYPE_CHECKING:
    from lrray.sweeps.convert import Translation

app = typer.Typer(no_args_is_help=True, help="Turn studies into W&B sweeps and back.")

_Out = Annotated[
    Path | None, typer.Option("-o", "--out", help="File to write; default: the terminal.")
]


@app.command("export")
def export(
    study: Annotated[str, typer.Argument(help="A study's name or file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value]...", help="Settings to change.")
    ] = None,
    out: _Out = None,
) -> None:
    """Write a study's search as a W&B sweep: then 'wandb sweep FILE' and 'wandb agent ID'."""
    from lrray.sweeps.convert import export_sweep, read_searched

    _write(export_sweep(read_searched(study, overrides or [])), out, "a W&B sweep does not")


@app.command("import")
def import_(
    sweep: Annotated[Path, typer.Argument(help="A W&B sweep file.")],
    base: Annotated[
        str | None,
        typer.Option(help="Study whose search it replaces; default: the one in its command."),
    ] = None,
    out: _Out = None,
) -> None:
    """Write a W&B sweep file as a study."""
    from lrray.studies.load import check_study
    from lrray.sweeps.convert import import_sweep

    if (
        out is not None
        and out.exists()
        and any(map(out.samefile, filter(Path.exists, _read(sweep, base))))
    ):
        raise LrrayError(str(out), "is read by this command", fix="give another -o")
    translation = import_sweep(sweep, base)
    check_study(translation.data, sweep)
    _write(translation, out, "the study does not")


def _read(sweep: Path, base: str | None) -> list[Path]:
    from lrray.studies.load import find_study

    return [sweep] if base is None else [sweep, find_study(base)]


def _write(translation: Translation, out: Path | None, title: str) -> None:
    from lrray.config import dump_yaml
    from lrray.files import write_whole

    text = dump_yaml(translation.data)
    if out is None:
        typer.echo(text, nl=False)
    else:
        try:
            write_whole(out, text)
        except OSError as error:
            raise LrrayError(
                str(out), f"cannot be written: {error.strerror}", fix="give another -o"
            ) from None
    if translation.losses:
        console = Console(stderr=True, highlight=False)
        console.print(f"What {title} express:")
        for line in translation.losses:
            console.print(f"  {line}", soft_wrap=True, markup=False)
