"""``optuna.journal``: a run's searches for optuna-dashboard, written and never read.

Only runs of lrray 0.2.0, which kept their proposals nowhere else, have them looked up there once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial

from lrray.files import MOST_BYTES


class _WrittenLog(BaseJournalBackend):
    """What Optuna notes down, which it gets back from memory; a file takes a copy.

    Whatever becomes of the file (deleted, damaged, no room for it) changes nothing here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unread: list[dict[str, Any]] = []
        self._fine = True
        with suppress(OSError):
            path.unlink(missing_ok=True)
            Path(f"{path}.lock").unlink(missing_ok=True)  # one left behind stops the dashboard

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """What has been appended since the last call: the one storage reads all once."""
        logs, self._unread = self._unread, []
        return logs

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keeps logs for the storage, and writes them as optuna-dashboard reads them."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        self._unread += map(json.loads, lines)
        if not self._fine:  # what follows a line cut short could not be read
            return
        try:
            with self._path.open("a") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError:
            self._fine = False


def new_journal(path: Path) -> JournalStorage:
    """A storage for the searches of this process, copied to the file ``path``."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return JournalStorage(_WrittenLog(path))


def read_journal(path: Path) -> dict[str, list[FrozenTrial]]:
    """Trials of every search in a journal, as proposed; empty where it cannot be read."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return {}
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        studies = storage.get_all_studies()
        return {s.study_name: storage.get_all_trials(s._study_id, deepcopy=False) for s in studies}
    except Exception:  # replaying a damaged journal may raise anything
        return {}
