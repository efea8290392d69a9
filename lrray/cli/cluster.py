"""``lrray submit``, ``follow``, ``status``, ``stop``, ``fetch``: studies on a cluster elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lrray.cluster.connection import Connection
from lrray.cluster.jobs import DEFAULT_OUT
from lrray.errors import LrrayError

if TYPE_CHECKING:
    from lrray.cluster.jobs import StudyJob

Cluster = Annotated[
    Path | None, typer.Option("--cluster", help="The file that the cluster was started with.")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Instead: HOST:PORT or URL of Ray's dashboard.", envvar="RAY_API_SERVER_ADDRESS"
    ),
]
JobId = Annotated[str | None, typer.Argument(metavar="[JOB]", help="Default: the newest.")]


def submit(
    name: Annotated[str, typer.Argument(help="A study, by name or file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value]...", help="Settings to change.")
    ] = None,
    cluster: Cluster = None,
    address: Address = None,
    out: Annotated[
        str, typer.Option(help="Results folder on the cluster, the same on every node.")
    ] = DEFAULT_OUT,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the newest run; start one if there is none.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: run failed cells again.")
    ] = False,
    keep_code: Annotated[
        bool,
        typer.Option(
            "--keep-code", help="With --resume: keep results of code that has changed since."
        ),
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow its output.")] = False,
) -> None:
    """Run a study on a cluster: ship this folder, start the study, follow its output.

    The study goes on there whatever happens here; `lrray follow` shows it again.
    """
    from lrray.cluster.jobs import submit as submit_job

    console = _console()
    folder = Path.cwd()
    job = replace(
        _checked(name, overrides or [], folder, out, resume, retry_failed), keep_code=keep_code
    )
    with _connection(cluster, address) as connection:
        job_id = submit_job(connection, job, folder)
        console.print(f"job      {job_id}", soft_wrap=True)
        _say_how_to_go_on(console, connection, job_id)
        if not detach:
            raise typer.Exit(_follow(connection, job_id, console))


def follow(job: JobId = None, cluster: Cluster = None, address: Address = None) -> None:
    """Show a submitted study's output from its beginning, until it ends."""
    from lrray.cluster.jobs import find_job

    console = _console()
    with _connection(cluster, address) as connection:
        job_id = str(find_job(connection, job).submission_id)
        console.print(f"job      {job_id}", soft_wrap=True)
        raise typer.Exit(_follow(connection, job_id, console))


def status(cluster: Cluster = None, address: Address = None) -> None:
    """List the submitted studies and how far each is."""
    from lrray.cluster.jobs import runs_of, study_jobs

    console = _console()
    with _connection(cluster, address) as connection:
        jobs = study_jobs(connection)
        runs: dict[str, dict[str, object]] = {}
        for out in sorted({str((job.metadata or {})["out"]) for job in jobs}):
            runs |= runs_of(connection, out)
    rows = [("job", "state", "cells", "results on the cluster")]
    for job in jobs:
        run = runs.get(str(job.submission_id), {})
        cells, folder = _cells(run.get("status")), str(run.get("folder", ""))
        rows.append((str(job.submission_id), job.status.value.lower(), cells, folder))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:  # on one line each, however narrow the terminal: paths are copied from here
        line = "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        console.print(line.rstrip(), soft_wrap=True)


def stop(job: JobId = None, cluster: Cluster = None, address: Address = None) -> None:
    """Stop a submitted study; `lrray submit STUDY --resume` continues it."""
    from lrray.cluster.jobs import find_job

    with _connection(cluster, address) as connection:
        job_id = str(find_job(connection, job).submission_id)
        stopped = connection.client().stop_job(job_id)
    _console().print(f"{'stopped' if stopped else 'had ended'}  {job_id}")


def fetch(
    job: JobId = None,
    cluster: Cluster = None,
    address: Address = None,
    out: Annotated[Path, typer.Option(help="Results folder here.")] = Path("results"),
) -> None:
    """Bring the results folder of a submitted study here, finished or not."""
    from lrray.cluster.fetch import fetch as fetch_run

    with _connection(cluster, address) as connection:
        folder = fetch_run(connection, job, out)
    _console().print(f"results  {folder}", soft_wrap=True)


def _connection(cluster: Path | None, address: str | None) -> Connection:
    # A file on the command line counts more than an address in the environment.
    return Connection(cluster, None if cluster else address)


def _checked(
    name: str, overrides: list[str], folder: Path, out: str, resume: bool, retry_failed: bool
) -> StudyJob:
    """Everything about a study that can be found wrong here rather than there."""
    from lrray.cluster.jobs import StudyJob, check_folder, shipped_name
    from lrray.studies.load import load_study

    check_folder(folder)
    study = load_study(name, overrides)
    if not out.startswith(("/", "~/")) and "://" not in out:
        raise LrrayError(
            "--out", "must be a whole path on the cluster", got=out, fix=f"e.g. {DEFAULT_OUT}"
        )
    return StudyJob(
        name=shipped_name(name, study.path, folder), overrides=overrides, title=study.name, out=out,
        resume=resume, retry_failed=retry_failed,
    )  # fmt: skip


def _console() -> Console:
    """One that prints text as it is: paths and reasons may hold brackets."""
    return Console(highlight=False, markup=False)


def _say_how_to_go_on(console: Console, connection: Connection, job_id: str) -> None:
    for what, words in (("output", "follow"), ("progress", "status"), ("results", "fetch")):
        named = "" if words == "status" else f" {job_id}"
        console.print(f"{what:<8} lrray {words}{named} {connection.words}", soft_wrap=True)


def _follow(connection: Connection, job_id: str, console: Console) -> int:
    """Exit code: 0 where the study succeeded."""
    from lrray.cluster.jobs import failure
    from lrray.cluster.jobs import follow as follow_job

    def show(text: str) -> None:
        console.print(text, end="", soft_wrap=True)

    try:
        state = follow_job(connection, job_id, show)
    except KeyboardInterrupt:
        console.print(f"\nNo longer followed; {job_id} runs on.", soft_wrap=True)
        return 0
    if state == "SUCCEEDED":
        console.print(f"fetch    lrray fetch {job_id} {connection.words}", soft_wrap=True)
        return 0
    reason = failure(connection, job_id) if state == "FAILED" else ""
    console.print(f"The job has {state.lower()}. {reason}".rstrip(), soft_wrap=True)
    return 1


def _cells(status: object) -> str:
    """``12 of 40, 1 failed`` from a run's ``status.json``."""
    if not isinstance(status, dict):
        return ""
    failed = f", {status['failed']} failed" if status.get("failed") else ""
    return f"{status['ended']} of {status['total']}{failed}"
