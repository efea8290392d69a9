"""What the driver of a stored run does beside the study: it brings files home and sends its own."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from lrray.errors import StorageError
from lrray.periodic import Rhythm
from lrray.results.find import WORK, latest_run
from lrray.results.folder import RunFolder
from lrray.results.record import FAILED
from lrray.storage.folder import StoredFolder
from lrray.storage.lease import StoreLock
from lrray.storage.objects import Found, Store

RHYTHM_S = 15.0
"""How often curves come home and the driver's own files are sent."""

_RECORDS = "cells"
_CURVES = ("metrics", "failures", "samples", "tensorboard", "wandb", "weights")
"""Folders that workers write to, beside the records."""

_STAYS = ("attempts", "checkpoints", "lock.json")
"""What is in the storage for workers alone."""

_HERE = ("shared", "quarantine", "probe", *_STAYS)
"""What never leaves this folder."""


def newest_run(results: Path, study: str, store: Store | None) -> RunFolder | None:
    """The newest run of a study that is worth continuing, here or in the storage."""
    here = latest_run(results, study)
    names = [] if here is None else [here.name]
    if store is not None:
        runs = store.below(study)
        names += next(([run] for run in reversed(runs.folders()) if _counts(runs.below(run))), [])
    return RunFolder(results / study / max(names)) if names else None


def _counts(run: Store) -> bool:
    """Whether a stored run has work in it, or a driver."""
    if run.get("study.yaml") is None:
        return False
    return any(run.listing(name) for name in WORK) or run.get(StoreLock.name) is not None


def run_files(store: Store) -> dict[str, Found]:
    """What a run's storage has for readers."""
    return {name: f for name, f in store.listing().items() if _top(name) not in _STAYS}


def in_storage(folder: RunFolder, store: Store | None) -> RunFolder:
    """The run's folder with its place in the storage behind it, where there is a storage."""
    return folder if store is None else StoredFolder(folder.path, store.below(folder.name))


def synced(
    folder: RunFolder, say: Callable[[str], None]
) -> AbstractContextManager[Callable[[], None]]:
    """Within it, a stored run is this driver's, and its files come and go.

    Yields:
        What brings the workers' newest curves here at once.

    Raises:
        LrrayError: on entry, where another driver works on the run.
        StorageError: at the end, where files could not be sent.
    """
    return _synced(folder, say) if isinstance(folder, StoredFolder) else nullcontext(_nothing)


def _nothing() -> None:
    """All files are here."""


@contextmanager
def _synced(folder: StoredFolder, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    def lost() -> None:
        folder.lost.set()
        say(f"another driver has taken {folder.store} over")
        _thread.interrupt_main()

    with StoreLock(folder.store, lost, say):
        sync = Sync(folder)
        sync.merge()
        sync.rhythm.start()
        try:
            yield sync.fetch
        except BaseException:
            sync.rhythm.stop()
            with suppress(StorageError, OSError):
                sync.push(folder.once())
            raise
        sync.rhythm.stop()
        sync.push()
        sync.answered()  # it may have been back for less than a beat
        say(f"stored   {folder.store}")


class Sync:
    """Exchanges a driver's files with the storage, at a slow rhythm."""

    def __init__(self, folder: StoredFolder) -> None:
        self.folder = folder
        self._sent: dict[str, tuple[int, int]] = {}
        self._got: dict[str, Found] = {}
        self._one_at_a_time = threading.Lock()
        self._away = False
        self.rhythm = Rhythm(self._exchange, RHYTHM_S)

    def _exchange(self) -> None:
        # What could not be exchanged now will be another time: nobody is to wait for this thread.
        once, store = self.folder.once(), self.folder.store
        try:
            self.fetch(once)
            self.push(once)
        except StorageError as error:
            if not self._away:
                store.say(f"{store} does not answer ({error.rule}); trying again and again")
            self._away = True
        else:
            self.answered()

    def answered(self) -> None:
        """Says that the storage is back, where it had been away."""
        if self._away:
            self.folder.store.say(f"{self.folder.store} answers again")
        self._away = False

    def merge(self) -> None:
        """Makes this folder and the storage hold the same at the start.

        Where both know a cell, a record of its failure counts here only if the storage has it:
        another driver may have tried again.
        """
        folder = self.folder
        listed = run_files(folder.store)
        if "study.yaml" in listed:
            for record in folder.cells():
                if record.state == FAILED:
                    folder.cell_path(record.id).unlink()
        here = self._files(skip=_HERE)
        folder.fetch(name for name in listed if name not in here or _top(name) != _RECORDS)
        folder.push(name for name in here if name not in listed)
        self._got = {name: f for name, f in listed.items() if _top(name) in _CURVES}
        self._sent = self._files(skip=(*_HERE, *_CURVES, _RECORDS))

    def fetch(self, folder: StoredFolder | None = None) -> None:
        """Copies here the curves and tracebacks that workers have written since the last time.

        Args:
            folder: the run's, as patient as need be; none: as it was given.
        """
        folder = folder or self.folder
        with self._one_at_a_time:
            for kind in _CURVES:
                listed = folder.store.listing(kind)
                wanted = [name for name, found in listed.items() if self._got.get(name) != found]
                folder.fetch(wanted)
                self._got |= {name: listed[name] for name in wanted}

    def push(self, folder: StoredFolder | None = None) -> None:
        """Copies to the storage what the driver has written or changed since the last time.

        A driver that lost its run sends nothing: another one writes there now.
        """
        if self.folder.lost.is_set():
            return
        with self._one_at_a_time:
            own = self._files(skip=(*_HERE, *_CURVES, _RECORDS))
            changed = {name: facts for name, facts in own.items() if self._sent.get(name) != facts}
            (folder or self.folder).push(changed)
            self._sent |= changed

    def _files(self, skip: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Size and time of change of the files here, but for some at the top."""
        found = {}
        for top in self.folder.path.iterdir():
            if top.name in skip or top.name.endswith(".lock"):
                continue
            for path in (top, *top.rglob("*")):
                with suppress(FileNotFoundError):
                    if path.is_file() and not path.name.startswith("."):
                        state = path.stat()
                        name = str(path.relative_to(self.folder.path))
                        found[name] = (state.st_size, state.st_mtime_ns)
        return found


def _top(name: str) -> str:
    return name.partition("/")[0]
