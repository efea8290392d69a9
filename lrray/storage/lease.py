"""One driver per stored run, wherever it stands: an object that the driver renews.

Of drivers that come at the same moment the storage chooses one, by conditional writes (see
:mod:`lrray.storage.conditional`).
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
from lrray.results.lock import HEARTBEAT_S, STALE_S, lives_here, self_description
from lrray.storage.conditional import Exclusive, Settled, Version, exclusive
from lrray.storage.objects import Store


class StoreLock:
    """Holds ``lock.json`` in the storage; a context manager.

    Args:
        store: of the run.
        lost: called once where another driver has taken the lock over.
        say: hears that a silent driver is waited for, and that a server cannot choose.

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
        self._writes = 0
        self._own: Version | None = None
        self._object: Exclusive = exclusive(store, self.name)
        self._dead: bytes | None = None
        self._heartbeat = Rhythm(self._renew, HEARTBEAT_S)

    def __enter__(self) -> StoreLock:
        self._refuse_living(self._store.get(self.name))  # waits for a server that is away
        try:
            self._take(self._object.read())
            self._check_conditions()
        except StorageError as reason:
            self._say(f"{self._store} cannot choose between drivers ({reason.rule})")
            self._object = Settled(self._store, self.name)
            self._take(self._object.read())
        self._heartbeat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._heartbeat.stop()
        once = self._store.once()
        with suppress(StorageError):  # left behind, the lock goes stale
            if self._is_mine(once.get(self.name)):
                once.remove(self.name)

    def _take(self, held: Version | None) -> None:
        self._refuse_living(None if held is None else held.content)
        self._own = self._object.write(self._content(), held)
        if self._own is None:
            self._refuse(self._object.read())

    def _check_conditions(self) -> None:
        """A server may take conditions and ignore them."""
        first = self._own
        self._own = self._object.write(self._content(), first)
        if self._own is None:
            self._refuse(self._object.read())
        for outdated in (first, None):
            if self._object.write(self._content(), outdated) is not None:
                raise StorageError(str(self._store), "it ignores conditions")

    def _refuse_living(self, content: bytes | None) -> None:
        held = _parsed(content)
        if held is None or content == self._dead or held["token"] == self._token:
            return
        if self._is_alive(held):
            self._refuse(Version(content or b""))
        self._dead = content

    def _is_alive(self, held: dict[str, Any]) -> bool:
        if lives_here(held) is False:
            return False
        if time.time() - held["beat"] <= STALE_S:
            return True
        # Its clock may be wrong, or the storage was away: what counts is whether it beats.
        self._say(f"a driver on {held['host']} was here; waiting whether it still lives")
        deadline = time.monotonic() + 2 * HEARTBEAT_S
        while time.monotonic() < deadline:
            time.sleep(1.0)
            now = _parsed(self._store.get(self.name))
            if now is None:
                return False
            if now != held:
                return True
        return False

    def _refuse(self, held: Version | None) -> None:
        holder = _parsed(None if held is None else held.content) or {
            "host": "unknown",
            "pid": "unknown",
        }
        raise LrrayError(
            str(self._store),
            f"another driver works here: host {holder['host']}, pid {holder['pid']}",
            fix=f"wait for it, or stop it first; a dead one's lock ends after {STALE_S:g} s",
        )

    def _is_mine(self, content: bytes | None) -> bool:
        held = _parsed(content)
        return held is not None and held["token"] == self._token

    def _content(self) -> bytes:
        # Whole seconds, a number of fixed width: a reader asks for the length first.
        self._writes += 1
        content = {**self_description(), "token": self._token, "beat": round(time.time())}
        return json.dumps({**content, "write": f"{self._writes:08d}"}).encode()

    def _renew(self) -> bool:
        with suppress(StorageError):  # away: whoever works with the storage says so
            written = self._object.write(self._content(), self._own)
            if written is None:
                held = self._object.read()  # the answer to an earlier beat may have been lost
                if held is not None and not self._is_mine(held.content):
                    self._lost()
                    return True
                written = held
            self._own = written
        return False


def _parsed(content: bytes | None) -> dict[str, Any] | None:
    """What a lock says, or None where there is none that can be read."""
    try:
        held = dict(json.loads(content or b"null"))
        return {**held, **{key: held[key] for key in ("token", "host", "pid", "beat")}}
    except (ValueError, KeyError, TypeError):
        return None
