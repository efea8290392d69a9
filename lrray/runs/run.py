"""Runs a checked study: folder, lock, Ray, cells, report."""

from __future__ import annotations

import errno
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lrray.errors import LrrayError
from lrray.results.folder import RunFolder
from lrray.runs.progress import Progress
from lrray.studies.grid import GridPoint

if TYPE_CHECKING:
    from lrray.results.folder import RunFolder
    from lrray.runs.progress import Progress
    from lrray.studies.grid import GridPoint


INTERRUPTED = 130


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


def _run(request: Request, console: Console) -> int:
    from lrray.execution.cluster import check_address
    from lrray.results.folder import RunFolder
    from lrray.results.lock import FolderLock
    from lrray.storage.objects import open_store
    from lrray.storage.sync import carried, in_storage, newest_run

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
    from lrray.execution.cluster import start_ray
    from lrray.results.provenance import provenance
    from lrray.runs.progress import Progress
    from lrray.studies.kind import load_runner
    from lrray.tracking.follower import announce, closing_lines

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
