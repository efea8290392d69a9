"""``python -m lrray.study NAME``: plans, runs and resumes a study.

Only what ``--help`` needs is imported at the top; everything else waits until it is used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lrray.cli.notice import saying
from lrray.errors import LrrayError
from lrray.files import working_folder

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def study(
    name: Annotated[
        str | None, typer.Argument(help="A study in studies/ or shipped (see --list), or a file.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value]...", help="Settings to change: target.value=0.8"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("results"),
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the newest run, or start one if there is none; --resume RUN: that one, "
            "by its id, tag or folder.",
        ),
    ] = False,
    address: Annotated[str, typer.Option(help="Ray cluster: local, auto, or HOST:PORT.")] = "local",
    storage: Annotated[
        str | None, typer.Option(help="Where results last: s3://…, gs://… or a path.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: run failed cells again.")
    ] = False,
    keep_code: Annotated[
        bool,
        typer.Option(
            "--keep-code", help="With --resume: keep results of code that has changed since."
        ),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would run, and start nothing.")
    ] = False,
    wandb: Annotated[
        str | None, typer.Option(help="Show every cell as a W&B run: offline or online.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the studies and stop.")] = False,
) -> None:
    """Run a study: search, measure, and write tables and figures to results/NAME/RUN.

    Finished work is never lost: after Ctrl-C or a crash, the same command with --resume goes on.
    """
    console = Console(highlight=False, markup=False)  # questions and paths may hold brackets
    if list_:
        _show_list(console)
        return
    if name is None:
        raise LrrayError("NAME", "name a study", fix="lrray study difficulty, or --list")
    from lrray.studies.load import load_study

    tracking = [] if wandb is None else [f"tracking.wandb.mode={wandb}"]
    stored = [] if storage is None else [f"storage={storage}"]
    words, named = _without_run(overrides or [], resume)
    with saying(f"reading the study {name}"):
        loaded = load_study(name, [*words, *tracking, *stored])
    with saying("checking its models and data"):
        loaded.check(out)
    if plan:
        from lrray.results.find import find_run, latest_run
        from lrray.results.folder import RunFolder
        from lrray.runs.plan import show_plan

        earlier = latest_run(out, loaded.name) if named is None else find_run(named, out).path
        folder = None if earlier is None else RunFolder(earlier)
        with saying("working out the plan"):
            show_plan(loaded, folder, console, keep_code)
        return
    from lrray.runs.run import Options, is_complete, run_study

    options = Options(
        out=out, resume=named or resume, retry_failed=retry_failed, keep_code=keep_code,
        address=address,
    )  # fmt: skip
    try:
        run = run_study(loaded, options, console)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if is_complete(loaded, run) else 1)


def _without_run(words: list[str], resume: bool) -> tuple[list[str], str | None]:
    """The settings to change, and the run that ``--resume`` names: settings hold a ``=``."""
    named = [word for word in words if "=" not in word]
    if not resume or len(named) != 1:
        return words, None
    return [word for word in words if word not in named], named[0]


def _show_list(console: Console) -> None:
    from rich.table import Table

    from lrray.config import load_yaml
    from lrray.studies.load import list_studies

    table = Table("study", "kind", "question", box=None)
    for name, path in list_studies().items():
        data = load_yaml(path)
        table.add_row(name, str(data.get("kind", "")), str(data.get("question", "")))
    console.print(table)


def run_app(app: Any) -> None:
    """Runs a typer app; an :class:`LrrayError` becomes its line on stderr and exit code 2."""
    try:
        working_folder()
        app()
    except LrrayError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        sys.exit(error.exit_code)


def main() -> None:
    """Entry of ``python -m lrray.study``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(study)
    run_app(app)


if __name__ == "__main__":
    main()
