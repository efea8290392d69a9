"""``python -m lrray.study NAME``: plans, runs and resumes a study.

Only what ``--help`` needs is imported at the top; everything else waits until it is used.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lrray.errors import LrrayError

if TYPE_CHECKING:
    from lrray.studies.folder import RunFolder
    from lrray.studies.spec import StudyBase

INTERRUPTED = 130


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
        bool, typer.Option("--resume", help="Continue the newest run; start one if there is none.")
    ] = False,
    address: Annotated[str, typer.Option(help="Ray cluster: local, auto, or HOST:PORT.")] = "local",
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would run, and start nothing.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the studies and stop.")] = False,
) -> None:
    """Run a study: search, measure, and write tables and figures to results/NAME/RUN.

    Finished work is never lost: after Ctrl-C or a crash, the same command with --resume goes on.
    """
    console = Console(highlight=False)
    if list_:
        _show_list(console)
        return
    if name is None:
        raise LrrayError("NAME", "name a study", fix="lrray study difficulty, or --list")
    from lrray.config import parse
    from lrray.studies.kinds import known_kinds, load_kind
    from lrray.studies.spec import read_study, study_kind

    data, path = read_study(name, overrides or [])
    kind = study_kind(data, path, known_kinds())
    settings = parse(load_kind(kind).Study, data, str(path))
    if plan:
        _show_plan(kind, settings, console)
        return
    raise typer.Exit(_run(kind, path.stem, settings, out, resume, address, console))


def _show_list(console: Console) -> None:
    from rich.table import Table

    from lrray.config import load_yaml
    from lrray.studies.locate import list_studies

    table = Table("study", "kind", "question", box=None)
    for name, path in list_studies().items():
        data = load_yaml(path)
        table.add_row(name, str(data.get("kind", "")), str(data.get("question", "")))
    console.print(table)


def _show_plan(kind: str, settings: StudyBase, console: Console) -> None:
    from importlib import import_module

    from rich.table import Table

    from lrray.gssm.model import default_threads
    from lrray.studies.progress import duration

    plan = import_module(f"lrray.studies.{kind}.run").plan(settings)
    seconds = plan.pop("core_seconds")
    table = Table("plan", "", show_header=False, box=None)
    table.add_row("question", settings.question)
    for key, value in plan.items():
        table.add_row(key, str(value))
    resources = settings.resources
    table.add_row("each cell takes", f"{resources.cpu:g} CPU, {resources.gpu:g} GPU")
    cores = default_threads()
    table.add_row("work", f"{duration(seconds)} of one core")
    # Starting Ray and drawing the figure take about ten seconds whatever the study.
    estimate = duration(10 + seconds / cores * resources.cpu)
    table.add_row("estimated time here", f"about {estimate} on {cores} cores")
    console.print(table)


def _run(
    kind: str, name: str, settings: StudyBase, out: Path, resume: bool, address: str,
    console: Console,
) -> int:  # fmt: skip
    from lrray.studies.folder import RunFolder, latest_run
    from lrray.studies.lock import FolderLock

    earlier = latest_run(out, name)
    if earlier is not None and not resume and not (earlier.path / "summary.json").exists():
        console.print(f"An unfinished run is there: {earlier.path} (--resume continues it).")
    folder = earlier if resume and earlier is not None else RunFolder.create(out, name)
    command = _command(name, out)
    with FolderLock(folder.path), _sigterm_interrupts():
        try:
            return _execute(kind, settings, folder, address, console)
        except KeyboardInterrupt:
            console.print(f"\nStopped. Finished work is in {folder.path}")
            console.print(f"Continue with: {command}")
            return INTERRUPTED


def _execute(
    kind: str, settings: StudyBase, folder: RunFolder, address: str, console: Console
) -> int:
    from importlib import import_module

    from lrray.config import dump_yaml
    from lrray.studies.engine import start_ray
    from lrray.studies.progress import Progress
    from lrray.studies.provenance import provenance

    console.print(f"[bold]{settings.question}[/bold]")
    folder.write_text("study.yaml", dump_yaml(settings.model_dump(mode="json", exclude_none=True)))
    folder.write_json("provenance.json", provenance())
    (folder.path / "summary.json").unlink(missing_ok=True)
    with Progress(console, folder) as progress:
        start_ray(address)
        package = f"lrray.studies.{kind}"
        summary = import_module(f"{package}.run").run(settings, folder, progress)
        progress.phase("drawing figures")
        figures = import_module(f"lrray.reports.{kind}").write_figures(folder.path)
    good = import_module(f"{package}.show").show_summary(summary, settings, console)
    if summary["failed"]:
        console.print(f"{summary['failed']} cells failed; see {folder.path / 'failures'}")
    for figure in figures:
        console.print(f"figure   {figure}", soft_wrap=True)
    console.print(f"results  {folder.path}", soft_wrap=True)
    return 0 if good and not summary["failed"] else 1


class _sigterm_interrupts:  # noqa: N801
    """Within it, SIGTERM stops like Ctrl-C."""

    def __enter__(self) -> None:
        self._old = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._old)

    @staticmethod
    def _interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt


def _command(name: str, out: Path) -> str:
    place = "" if out == Path("results") else f" --out {out}"
    return f"lrray study {name}{place} --resume"


def run_app(app: Any) -> None:
    """Runs a typer app; an :class:`LrrayError` becomes its line on stderr and exit code 2."""
    try:
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
