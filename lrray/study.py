"""``python -m lrray.study NAME``: plans, runs and resumes a study.

Only what ``--help`` needs is imported at the top; everything else waits until it is used.
"""

from __future__ import annotations

import errno
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lrray.errors import LrrayError

if TYPE_CHECKING:
    from lrray.studies.folder import RunFolder
    from lrray.studies.grid import GridPoint
    from lrray.studies.progress import Progress

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
    storage: Annotated[
        str | None, typer.Option(help="Where results last: s3://…, gs://… or a path.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: run failed cells again.")
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
    from lrray.studies.grid import expand
    from lrray.studies.kinds import known_kinds, load_kind
    from lrray.studies.spec import read_study, study_kind

    tracking = [] if wandb is None else [f"tracking.wandb.mode={wandb}"]
    place = [] if storage is None else [f"storage={storage}"]
    words = [*(overrides or []), *tracking, *place]
    data, path = read_study(name, words)
    kind = study_kind(data, path, known_kinds())
    module = load_kind(kind)
    points = expand(data, module.Study, str(path))
    if hasattr(module, "check"):
        module.check([point.study for point in points], str(path), out / path.stem / "data")
    request = Request(
        given=[name, *words],
        name=path.stem,
        kind=kind,
        grid=data.get("grid"),
        points=points,
        out=out,
        resume=resume,
        retry_failed=retry_failed,
        address=address,
    )
    if plan:
        from lrray.studies.folder import latest_run
        from lrray.studies.planning import show_plan

        show_plan(kind, points, latest_run(out, path.stem), console)
        return
    raise typer.Exit(_run(request, console))


@dataclass(frozen=True)
class Request:
    """A checked study and how it is to be run."""

    given: Sequence[str]
    """The study and the settings to change, word by word."""
    name: str
    kind: str
    grid: Any
    points: list[GridPoint]
    out: Path
    resume: bool
    retry_failed: bool
    address: str

    def resolved(self) -> dict[str, Any]:
        """The study with every default written out, and its grid."""
        settings = self.points[0].study.model_dump(mode="json", exclude_none=True)
        return settings if self.grid is None else {**settings, "grid": self.grid}


def _show_list(console: Console) -> None:
    from rich.table import Table

    from lrray.config import load_yaml
    from lrray.studies.locate import list_studies

    table = Table("study", "kind", "question", box=None)
    for name, path in list_studies().items():
        data = load_yaml(path)
        table.add_row(name, str(data.get("kind", "")), str(data.get("question", "")))
    console.print(table)


def _run(request: Request, console: Console) -> int:
    from lrray.studies.address import check_address
    from lrray.studies.courier import carried, in_storage, newest_run
    from lrray.studies.folder import RunFolder
    from lrray.studies.lock import FolderLock
    from lrray.studies.storage import open_store

    def say(line: str) -> None:
        console.print(line, soft_wrap=True)

    check_address(request.address)
    place = request.points[0].study.storage
    store = None if place is None else open_store(place, say)
    earlier = newest_run(request.out, request.name, store)
    command = _resume_command(request)
    if earlier is not None and not request.resume and not (earlier.path / "summary.json").exists():
        console.print(f"An unfinished run is there: {earlier.path}", soft_wrap=True)
        console.print(f"To continue it instead: {command}", soft_wrap=True)
    if request.resume and earlier is not None:
        folder = earlier
        (folder.path / "cells").mkdir(parents=True, exist_ok=True)
    else:
        folder = RunFolder.create(request.out, request.name)
    folder = in_storage(folder, store)
    with FolderLock(folder.path), _interruptible():
        try:
            with carried(folder, say) as bring:
                if request.resume and earlier is not None:
                    _say_what_changed(folder, request, console)
                return _execute(request, folder, bring, console)
        except KeyboardInterrupt:
            console.print(f"\nStopped. Finished work is in {folder.path}", soft_wrap=True)
            console.print(f"Continue with: {command}", soft_wrap=True)
            return INTERRUPTED
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise
            raise LrrayError(
                str(folder.path), f"cannot be written: {error.strerror}",
                fix=f"make room, then: {command}",
            ) from None  # fmt: skip


def _say_what_changed(earlier: RunFolder, request: Request, console: Console) -> None:
    from lrray.config import differences, load_yaml

    old = load_yaml(earlier.path / "study.yaml")
    for path, before, after in differences(old, request.resolved()):
        console.print(f"changed since that run: {path}: {before} → {after}", soft_wrap=True)


def _execute(
    request: Request, folder: RunFolder, bring: Callable[[], None], console: Console
) -> int:
    from lrray.config import dump_yaml
    from lrray.studies.engine import start_ray
    from lrray.studies.kinds import load_runner
    from lrray.studies.progress import Progress
    from lrray.studies.provenance import provenance
    from lrray.studies.tracking import announce, closing_lines

    console.print(request.points[0].study.question, style="bold")
    folder.write_text("study.yaml", dump_yaml(request.resolved()))
    folder.write_json("provenance.json", provenance())
    announce(folder, request.points[0].study.tracking, shlex.join(request.given))
    (folder.path / "summary.json").unlink(missing_ok=True)
    folder.forget_stop()
    runner = load_runner(request.kind)
    with Progress(console, folder) as progress:
        dashboard = start_ray(request.address)
        for line in _watching(request, folder, dashboard):
            console.print(line, soft_wrap=True)
        summary = runner.run(request.points, folder, progress, request.retry_failed)
        bring()
        report = _report(folder, progress)
    good = runner.show(summary, request.points, console)
    if summary["failed"]:
        where = folder.path / "failures"
        console.print(f"{summary['failed']} cells failed; see {where}", soft_wrap=True)
    console.print(f"report   {report}", soft_wrap=True)
    for line in closing_lines(folder):
        console.print(line, soft_wrap=True)
    console.print(f"results  {folder.path}", soft_wrap=True)
    return 0 if good and not summary["failed"] else 1


def _watching(request: Request, folder: RunFolder, dashboard: str) -> list[str]:
    """Where the run can be watched, a line each."""
    lines = [f"watch    lrray board {folder.path}"]
    if getattr(request.points[0].study, "search", None) is not None:
        lines.append(f"         optuna-dashboard {folder.path / 'optuna.journal'}")
    if dashboard:
        lines.append(f"         {dashboard} (Ray: jobs, actors, logs)")
    return lines


def _report(folder: RunFolder, progress: Progress) -> str:
    """Where the report is, or the command that writes it where that takes a while."""
    from lrray.reports.report import is_cheap, write_report

    if not is_cheap(folder.path):
        return f"lrray report {folder.path}"
    progress.phase("writing the report")
    return str(write_report(folder.path)[0])


_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within it, SIGTERM stops like Ctrl-C. Once stopping, further ones change nothing."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for further in _STOPPING:
            signal.signal(further, signal.SIG_IGN)
        raise KeyboardInterrupt

    old = {number: signal.signal(number, interrupt) for number in _STOPPING}
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            for number, handler in old.items():
                signal.signal(number, handler)


def _resume_command(request: Request) -> str:
    options = [] if request.out == Path("results") else ["--out", str(request.out)]
    options += [] if request.address == "local" else ["--address", request.address]
    return shlex.join(["lrray", "study", *request.given, *options, "--resume"])


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
