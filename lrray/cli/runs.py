"""``lrray runs``: lists, shows, names and removes runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrray.errors import LrrayError

if TYPE_CHECKING:
    from lrray.results.run import Run

app = typer.Typer(no_args_is_help=True, help="Runs in the results folder.")

_Out = Annotated[Path, typer.Option(help="Folder of results.")]
_RUN = typer.Argument(help="A run's id, tag or folder, or a study for its newest run.")

_COLOURS = {"running": "blue", "finished": "green", "stopped": "yellow"}


@app.callback()
def _commands() -> None:
    """List, show, name and remove runs."""


@app.command("list")
def list_(
    study: Annotated[str | None, typer.Argument(help="Of this study alone.")] = None,
    out: _Out = Path("results"),
) -> None:
    """List runs, the newest last."""
    from lrray.results.find import tags_of
    from lrray.results.run import find_runs

    runs = [run for run in find_runs(out) if study in (None, run.path.parent.name)]
    table = Table("run", "state", "cells", "failed", "size", "tags", box=None)
    for run in runs:
        status = run.summary or run.status
        table.add_row(
            Text(run.name), _state(run), str(_num_cells(run)), str(status.get("failed", "")),
            _size(_bytes(run.path)), Text(", ".join(tags_of(run.path))),
        )  # fmt: skip
    console = _console()
    console.print(table if runs else f"No run{f' of {study}' if study else ''} in {out}.")


@app.command()
def show(
    run: Annotated[str, _RUN],
    out: _Out = Path("results"),
) -> None:
    """Show where a run comes from and how far it is."""
    from lrray.results.find import find_run, tags_of

    found = find_run(run, out)
    made = found.provenance
    git = made.get("git") or {}
    changed = " with uncommitted changes" if git.get("changed") else ""
    outdated = len(found.outdated())
    rows: dict[str, str | Text] = {
        "run": found.name,
        "folder": str(found.path),
        "state": _state(found),
        "question": found.question,
        "kind": found.kind,
        "cells": f"{_num_cells(found)}" + (f", {outdated} of them outdated" if outdated else ""),
        "failed": str((found.summary or found.status).get("failed", "")),
        "size": _size(_bytes(found.path)),
        "tags": ", ".join(tags_of(found.path)),
        "damaged": "; ".join(found.damage),
        "started": str(made.get("started_at", "")),
        "command": " ".join(map(str, made.get("command") or [])),
        "revision": f"{git['revision']}{changed}" if git.get("revision") else "",
    }
    table = Table("", "", show_header=False, box=None)
    for name, value in rows.items():
        if value:
            table.add_row(name, value if isinstance(value, Text) else Text(value))
    _console().print(table)


@app.command()
def tag(
    run: Annotated[str, _RUN],
    name: Annotated[str, typer.Argument(help="What to call it: letters, digits, - _ and .")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag away.")] = False,
    out: _Out = Path("results"),
) -> None:
    """Give a run a name that commands take in place of its id; tagged runs are not removed."""
    from lrray.results.find import find_run, set_tags, tags_of
    from lrray.results.run import find_runs

    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise LrrayError("NAME", "must be of letters, digits, - _ and .", got=name, fix="baseline")
    found = find_run(run, out)
    tags = [own for own in tags_of(found.path) if own != name]
    if not remove:
        for other in find_runs(out):
            if other.path != found.path and name in tags_of(other.path):
                raise LrrayError(
                    name, f"is the tag of {other.name} already",
                    fix=f"lrray runs tag {name} {name} --remove",
                )  # fmt: skip
        tags.append(name)
    set_tags(found.path, tags)
    _console().print(f"{found.name}: {', '.join(tags) or 'no tags'}")


@app.command()
def rm(
    runs: Annotated[list[str], _RUN],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    out: _Out = Path("results"),
) -> None:
    """Remove runs with all that they found. Running and tagged ones are refused."""
    from lrray.results.find import find_run, tags_of

    found = list({run.path: run for run in (find_run(name, out) for name in runs)}.values())
    for run in found:
        if run.state == "running":
            raise LrrayError(run.name, "is running", fix="stop its driver first")
        if tags := tags_of(run.path):
            fix = f"lrray runs tag {tags[0]} {tags[0]} --remove"
            raise LrrayError(run.name, f"is tagged {', '.join(tags)}", fix=fix)
    console = _console()
    for run in found:
        cells, size = _num_cells(run), _size(_bytes(run.path))
        console.print(f"{run.path}: {cells} finished {'cell' if cells == 1 else 'cells'}, {size}")
    if not yes and not typer.confirm("Remove for good?"):
        raise typer.Exit(1)
    for run in found:
        shutil.rmtree(run.path)


def _state(run: Run) -> Text:
    return Text(run.state, _COLOURS[run.state])


def _num_cells(run: Run) -> int:
    """Finished cells, counted by their files: none is read."""
    return sum(1 for _ in (run.path / "cells").glob("*.json"))


def _bytes(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


def _size(number: float) -> str:
    """``1.2 MB``."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def _console() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True)
