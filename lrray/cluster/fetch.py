"""Brings a run's folder from the cluster to this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

from lrray.cluster.connection import RAY, Connection
from lrray.cluster.jobs import ask, find_job, runs_of
from lrray.cluster.remote import unpack
from lrray.errors import LrrayError


def fetch(connection: Connection, job_id: str | None, target: Path) -> Path:
    """Brings a job's run to ``target/STUDY/RUN``; what is there already is renewed.

    With a cluster file by rsync over SSH, else packed through the job server, without checkpoints.

    Args:
        connection: the way to the cluster.
        job_id: the newest where None.
        target: results folder here.

    Raises:
        LrrayError: there is no such job, it has written nothing yet, or the way broke.
    """
    job = find_job(connection, job_id)
    name, out = str(job.submission_id), str((job.metadata or {})["out"])
    run = runs_of(connection, out).get(name)
    if run is None:
        raise LrrayError(
            name, f"has no run of its own in {out}",
            fix="see 'lrray follow' for how far it is; a resumed run belongs to the last job",
        )  # fmt: skip
    remote = PurePosixPath(run["folder"])
    local = target / remote.parent.name / remote.name
    if connection.cluster is None:
        unpack(ask(connection, "pack", name, out=out), target)
    else:
        _rsync(connection.cluster, remote, local)
    return local


def _rsync(cluster: Path, remote: PurePosixPath, local: Path) -> None:
    local.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*RAY, "rsync-down", str(cluster), f"{remote}/", f"{local}/"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        raise LrrayError(
            str(cluster), f"rsync from the head failed: {lines[-1]}", fix="give the command again"
        )
