"""One driver per stored run, wherever it stands: an object that the driver renews.

Object stores cannot be asked to write only if nothing is there, so a driver writes its name, waits,
and has the lock if its name is still there.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from lrray.errors import LrrayError, StorageError
from lrray.periodic import Rhythm
from lrray.results.lock import HEARTBEAT_S, STALE_S, is_dead_here, self_description
from lrray.storage.objects import Store

SETTLE_S = 1.0
"""How long two drivers that come at the same moment may take to write their names."""


class StoreLock:
    """Holds ``lock.json`` in the storage; a context manager.

    Args:
        store: of the run.
        lost: called once where another driver has taken the lock over.
        say: hears that a silent driver is waited for.

    Raises:
        LrrayError: on entry, where another driver holds it; names its host and pid.
    """

    name = "lock.json"

    def __init__(
        self,
        store: Store,
        lost: Callable[[], None],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._store, self._lost, self._say = store, lost, say
        self._token = secrets.token_hex(8)
        self._heartbeat = Rhythm(self._renew, HEARTBEAT_S)

    def __enter__(self) -> StoreLock:
        held = self._read()
        if held is not None and self._is_alive(held):
            self._refuse(held)
        self._write(self._store)
        time.sleep(SETTLE_S)
        held = self._read()
        if held is not None and not self._is_mine(held):
            self._refuse(held)
        self._heartbeat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._heartbeat.stop()
        hurried = self._store.hurried()
        with suppress(StorageError):  # left behind, the lock goes stale
            if self._is_mine(self._read(hurried)):
                hurried.remove(self.name)

    def _is_alive(self, held: dict[str, Any]) -> bool:
        if is_dead_here(held):
            return False
        if time.time() - held["beat"] <= STALE_S:
            return True
        # Its clock may be wrong, or the storage was away: what counts is whether it beats.
        self._say(f"a driver on {held['host']} was here; waiting whether it still lives")
        deadline = time.monotonic() + 2 * HEARTBEAT_S
        while time.monotonic() < deadline:
            time.sleep(1.0)
            now = self._read()
            if now is None:
                return False
            if now != held:
                return True
        return False

    def _refuse(self, held: dict[str, Any]) -> None:
        raise LrrayError(
            str(self._store),
            f"another driver works here: host {held['host']}, pid {held['pid']}",
            fix=f"wait for it, or stop it first; a dead one's lock ends after {STALE_S:g} s",
        )

    def _is_mine(self, held: dict[str, Any] | None) -> bool:
        return held is not None and held["token"] == self._token

    def _read(self, store: Store | None = None) -> dict[str, Any] | None:
        content = (store or self._store).get(self.name)
        try:
            held = dict(json.loads(content or b"null"))
            return {**held, **{key: held[key] for key in ("token", "host", "pid", "beat")}}
        except (ValueError, KeyError, TypeError):
            return None

    def _write(self, store: Store) -> None:
        # Whole seconds: a reader asks for the length first, which must not change between beats.
        content = {**self_description(), "token": self._token, "beat": round(time.time())}
        store.put(self.name, json.dumps(content).encode())

    def _renew(self) -> bool:
        hurried = self._store.hurried()
        with suppress(StorageError):  # away: whoever works with the storage says so
            held = self._read(hurried)
            if held is not None and not self._is_mine(held):
                self._lost()
                return True
            self._write(hurried)
        return False
