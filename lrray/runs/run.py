"""Runs a checked study: folder, lock, Ray, cells, report."""

from __future__ import annotations

import errno
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from lrray.config import differences, dump_yaml, load_yaml
from lrray.errors import LrrayError, is_full_disk
from lrray.execution.cluster import check_address
from lrray.files import check_path
from lrray.references import failure
from lrray.results.code_copy import save_code
from lrray.results.find import has_work
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells, keep_codes
from lrray.results.provenance import job, provenance
from lrray.results.run import Run
from lrray.runs.choose import chosen_folder, unfinished_run
from lrray.runs.lazy_ray import LazyRay
from lrray.runs.progress import Progress
from lrray.runs.summary import kept_summary, write_summary
from lrray.runs.superseded import codes_of, told
from lrray.search.program import Phase, load_program
from lrray.search.queue import CellSource, Steps
from lrray.storage.objects import open_store
from lrray.storage.sync import in_storage, synced
from lrray.studies.code import read_code_anew
from lrray.studies.load import LoadedStudy
from lrray.tracking.follower import announce, closing_lines


@dataclass(frozen=True)
class Options:
    """How a study is to be run; nothing that its results depend on."""

    out: Path = Path("results")
    """Folder for results."""
    resume: bool | str = False
    """Whether to continue the newest run, where there is one; or which, as
    :func:`lrray.results.find.find_run` takes it."""
    retry_failed: bool = False
    """Whether failed cells of that run are run again."""
    keep_code: bool = False
    """Whether results that other code gave before count, now and in later runs of the folder."""
    address: str = "local"
    """Ray cluster: ``local``, ``auto`` or ``HOST:PORT``."""


def run_study(study: LoadedStudy, options: Options, console: Console) -> Run:
    """Runs what is not there yet of a study, and writes its results and report.

    Args:
        study: read and checked.
        options: where and how.
        console: to show progress and results on.

    Raises:
        LrrayError: another driver works on the run, no cluster answers, no room is left, ….
        KeyboardInterrupt: it was stopped, and has said how to go on; finished cells are kept.
    """

    def say(line: str) -> None:
        console.print(line, soft_wrap=True)

    check_address(options.address)
    read_code_anew()
    check_path("--out", options.out)
    storage = study.first.storage
    store = None if storage is None else open_store(storage, say)
    command = resume_command(study, options)
    if not options.resume and (unfinished := unfinished_run(options.out, study, store)):
        say(f"An unfinished run is there: {unfinished}")
        say(f"To continue it instead: {command}")
    with _interruptible(), chosen_folder(study, options.out, options.resume, store) as chosen:
        folder, resumed = in_storage(chosen[0], store), chosen[1]
        try:
            with synced(folder, say) as fetch:
                if resumed:
                    _say_what_changed(folder, study, say)
                return _execute(study, options, folder, fetch, console)
        except KeyboardInterrupt:
            if resumed or store is not None or has_work(folder.path):
                say(f"\nStopped. Finished work is in {folder.path}")
                say(f"Continue with: {command}")
            else:
                say("\nStopped before the first cell had ended: nothing is kept.")
            raise
        except OSError as error:
            if not is_full_disk(error) and error.errno not in (errno.EROFS, errno.EACCES):
                raise
            raise LrrayError(
                str(folder.path), f"cannot be written: {error.strerror}",
                fix=f"make room, then: {command}",
            ) from None  # fmt: skip


def is_complete(study: LoadedStudy, run: Run) -> bool:
    """Whether an ended run has all that its study asked for, and no cell failed."""
    summary = run.summary
    return load_program(study.kind).is_complete(summary) and not summary["failed"]


def resume_command(study: LoadedStudy, options: Options) -> str:
    """What continues a study on the command line."""
    return shlex.join([*_command(study, options), "--resume"])


def _command(study: LoadedStudy, options: Options) -> list[str]:
    words = [] if options.out == Path("results") else ["--out", str(options.out)]
    words += [] if options.address == "local" else ["--address", options.address]
    return ["lrray", "study", *study.given, *words]


def _say_what_changed(earlier: RunFolder, study: LoadedStudy, say: Callable[[str], None]) -> None:
    old = load_yaml(earlier.path / "study.yaml")
    for path, before, after in differences(old, study.resolved()):
        say(f"changed since that run: {path}: {before} → {after}")


def _execute(
    study: LoadedStudy,
    options: Options,
    folder: RunFolder,
    fetch: Callable[[], None],
    console: Console,
) -> Run:
    def say(line: str) -> None:
        console.print(line, soft_wrap=True)

    console.print(study.first.question, style="bold")
    folder.renew("study.yaml", dump_yaml(study.resolved()))
    codes = codes_of(study.points)
    for code in codes:
        save_code(folder, code)
    announce(folder, study.first.tracking, shlex.join(study.given))
    folder.remove_leftovers()
    program = load_program(study.kind)
    with Progress(console, folder) as progress:
        if options.retry_failed:
            folder.forget_failures()
        if options.keep_code:
            keep_codes(folder)
        known = KnownCells.of(folder)
        summary = None
        command = resume_command(study, options)
        with LazyRay(study, options.address, command, progress, folder.path) as ray:
            work = program(study.points, folder, ray.slots, known)
            phases = told(work.phases(), known, folder, codes, say)
            cells = Steps(folder, phase_sources(phases, progress))
            left = cells.has_work()
            if left or job():  # by its name in there a cluster's job finds its run
                folder.write_json("provenance.json", provenance(_command(study, options)))
            if left:
                folder.remove("summary.json")
                folder.forget_stop()
                ray.run(cells)
            else:
                say("Nothing is left to run: all cells have ended.")
                summary = kept_summary(study.first, work, folder, known.records)
        if summary is None:
            folder.remove("summary.json")
            summary = write_summary(study.first, work, folder, time.time() - ray.began)
        fetch()
        report = _report(folder, progress)
    program.show(summary, console)
    if summary["failed"]:
        failed = f"{summary['failed']} {'cell' if summary['failed'] == 1 else 'cells'} failed"
        say(f"{failed}; see {folder.path / 'failures'}")
        say(f"To try again: {resume_command(study, options)} --retry-failed")
    say(f"report   {report}")
    for line in closing_lines(folder):
        say(line)
    say(f"results  {folder.path}")
    return Run(folder.path)


def phase_sources(phases: Iterator[Phase], progress: Progress) -> Iterator[CellSource]:
    """The phases' cells; a phase that goes on under one name is shown as one, an empty one not."""
    name = None
    for phase in phases:
        if phase.name != name and phase.source.num_left:
            name = phase.name
            progress.phase(phase.name, phase.describe, phase.numbers, at_once=False)
        yield phase.source


def _report(folder: RunFolder, progress: Progress) -> str:
    """Where the report is, or the command that writes it where that takes a while.

    The cells are done: a report that cannot be written, e.g. by a module of another package, takes
    nothing from them.
    """
    from lrray.reports.report import is_cheap, write_report

    if not is_cheap(folder.path):
        return f"lrray report {folder.path}"
    progress.phase("writing the report")
    try:
        return str(write_report(folder.path)[0])
    except LrrayError:
        raise
    except Exception as error:
        return f"failed: {failure(error)}; try again: lrray report {folder.path}"


_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within it, SIGTERM and SIGHUP stop like Ctrl-C. Once stopping, further ones change nothing.

    Only the main thread can be told of signals; elsewhere, e.g. below a server, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        for further in _STOPPING:
            signal.signal(further, signal.SIG_IGN)
        raise KeyboardInterrupt

    old = {
        number: signal.signal(number, interrupt)
        for number in _STOPPING
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGINT
    }  # nohup's SIGHUP stays ignored
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            for number, handler in old.items():
                signal.signal(number, handler)
