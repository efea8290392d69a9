"""Brings a run's folder from the cluster to this machine."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lrray.cluster.connection import RAY, Connection
from lrray.cluster.jobs import ask, find_job, runs_of
from lrray.cluster.remote import unpack
from lrray.errors import LrrayError, StorageError
from lrray.storage.folder import StoredFolder
from lrray.storage.objects import Store
from lrray.storage.sync import run_files

_PATIENCE_S = 30.0
"""How long a storage may be away while somebody waits."""


def fetch(connection: Connection, job_id: str | None, target: Path) -> Path:
    """Brings a job's run to ``target/STUDY/RUN``; what is there already is renewed.

    With a cluster file by rsync over SSH, else from the study's storage; where there is neither,
    packed through the job server. Only rsync brings checkpoints.

    Args:
        connection: the way to the cluster.
        job_id: the newest where None.
        target: results folder here.

    Raises:
        LrrayError: there is no such job, it has written nothing yet, or the way broke.
        StorageError: the storage cannot be read from here.
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
    local = local_folder(remote, target)
    if connection.cluster is not None:
        _rsync(connection.cluster, remote, local)
    elif run["storage"] is not None:
        from_storage(run["storage"], local)
    else:
        unpack(ask(connection, "pack", name, out=out), target, "/".join(local.parts[-2:]))
    return local


def local_folder(remote: PurePosixPath, target: Path) -> Path:
    """``target/STUDY/RUN``; the names are the cluster's, which may be anybody's.

    Raises:
        LrrayError: they would lead out of ``target``, or hide.
    """
    names = remote.parent.name, remote.name
    if any(not name or name.startswith((".", "-")) for name in names):
        raise LrrayError(
            str(remote), "is no folder of a run", fix="look at what writes to that cluster"
        )
    return target.joinpath(*names)


def from_storage(address: str, local: Path) -> None:
    """Copies a run's files from the study's storage to ``STUDY/RUN`` here.

    Raises:
        StorageError: it cannot be read, or holds nothing of the run.
    """
    folder = StoredFolder(local, Store(address, patience_s=_PATIENCE_S))
    folder = replace(folder, store=folder.store.below(folder.name))
    names = run_files(folder.store)
    if not names:
        raise StorageError(str(folder.store), "holds nothing of this run")
    folder.fetch(names)


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
