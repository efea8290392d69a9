"""Which folder a study runs in: that of a run to be continued, or a new one."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrray.config import dump_yaml, load_yaml
from lrray.errors import LrrayError
from lrray.results.find import find_run, has_work
from lrray.results.folder import RunFolder
from lrray.results.lock import FolderLock
from lrray.storage.objects import Store
from lrray.storage.sync import newest_run
from lrray.studies.load import LoadedStudy

_IDENTITY = ("kind", "function")
"""Settings that make two studies of one name different ones."""


@contextmanager
def chosen_folder(
    study: LoadedStudy, out: Path, resume: bool | str, store: Store | None
) -> Iterator[tuple[RunFolder, bool]]:
    """The folder of a run, locked, and whether it is continued.

    A new run that ends within before it has anything to show leaves no folder behind; but for one
    in a storage, whose checkpoints lie there.

    Args:
        study: what is to be run.
        out: folder for results.
        resume: False for a new run, True for the newest, or which (see
            :func:`lrray.results.find.find_run`).
        store: where the study's results last, if not here.

    Raises:
        LrrayError: there is no such run, it is another study's, or another driver works in it.
    """
    with _one_at_a_time(out / study.name):
        earlier = _earlier(study, out, resume, store)
        if earlier is None:
            folder = RunFolder.create(out, study.name)
            # At once: without its settings no other driver would know it for a run.
            folder.write_text("study.yaml", dump_yaml(study.resolved()))
        else:
            folder = earlier
            (folder.path / "cells").mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder.path)
        lock.__enter__()
    try:
        yield folder, earlier is not None
    except BaseException:
        if earlier is None and store is None and not has_work(folder.path):
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
    finally:
        lock.__exit__(None, None, None)


def unfinished_run(out: Path, study: LoadedStudy, store: Store | None) -> Path | None:
    """The newest run of a study, where that was stopped before its end."""
    newest = newest_run(out, study.name, store)
    if newest is None or (newest.path / "summary.json").exists():
        return None
    return newest.path


def _earlier(
    study: LoadedStudy, out: Path, resume: bool | str, store: Store | None
) -> RunFolder | None:
    if not resume:
        return None
    if isinstance(resume, str):
        folder = RunFolder(find_run(resume, out).path)
    else:
        newest = newest_run(out, study.name, store)
        if newest is None:
            return None
        folder = newest
    _refuse_another_study(folder.path, study)
    return folder


def _refuse_another_study(path: Path, study: LoadedStudy) -> None:
    """Two files of one name share a results folder: one must not go on in the other's run."""
    try:
        old = load_yaml(path / "study.yaml")
    except LrrayError:  # not here yet, or damaged: it is written anew
        return
    new = study.resolved()
    for key in _IDENTITY:
        if old.get(key) != new.get(key):
            raise LrrayError(
                f"{study.path}: {key}", f"the run {path} is of another study: {old.get(key)}",
                got=new.get(key), fix="rename the study's file, or give another --out",
            )  # fmt: skip


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Drivers that choose a run of one study do so one after the other.

    Where the folder's file system takes no locks, they are not held up: the run's own lock decides.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise LrrayError(
            str(folder), f"cannot be made: {error.strerror}", fix="give another --out"
        ) from None
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
