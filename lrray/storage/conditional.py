"""An object that is written only over what its writer has read: of several writers one wins.

S3 takes ``If-None-Match`` and ``If-Match``, Google Cloud preconditions on generations; both through
obstore, because Arrow's file systems cannot ask for either. A path has exclusive creation and the
system's locks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from filelock import FileLock

from lrray.errors import StorageError
from lrray.files import whole_file, write_whole
from lrray.results.lock import NO_LOCKS
from lrray.storage.objects import Store

SETTLE_S = 1.0
"""How long two writers that come at the same moment may take, where a server cannot choose one."""

_RETRY_S = 10


@dataclass(frozen=True)
class Version:
    """One state of an object."""

    content: bytes
    tag: Any = None
    """What the server calls it."""


class Exclusive(Protocol):
    """One object."""

    def read(self) -> Version | None:
        """Its present state, or None where there is none. Raises: StorageError."""

    def write(self, content: bytes, over: Version | None) -> Version | None:
        """Its new state, or None where it is no longer what it was. Raises: StorageError."""


def exclusive(store: Store, name: str) -> Exclusive:
    """An object of a storage."""
    if "://" not in store.address:
        return OnDisk(Path(store.address, f"{store.prefix}{name}"))
    return OnServer(store, name)


class OnServer:
    """An object of a server that takes conditions, or says or shows that it does not."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._path = store, store.prefix + name

    def read(self) -> Version | None:
        """See :class:`Exclusive`."""
        import obstore

        with self._explained():
            try:
                found = obstore.get(_opened(self._store.address), self._path)
                return Version(bytes(found.bytes()), _tag(found.meta))
            except FileNotFoundError:
                return None

    def write(self, content: bytes, over: Version | None) -> Version | None:
        """See :class:`Exclusive`."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if over is None else over.tag
        with self._explained():
            try:
                system = _opened(self._store.address)
                return Version(content, _tag(obstore.put(system, self._path, content, mode=mode)))
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise StorageError(str(self._store), f"takes no condition: {reason}") from None


class OnDisk:
    """A file, on a disk that all who write it see."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Version | None:
        """See :class:`Exclusive`."""
        try:
            return Version(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be read: {error.strerror}") from None

    def write(self, content: bytes, over: Version | None) -> Version | None:
        """See :class:`Exclusive`."""
        try:
            if over is None:
                return self._create(content)
            with self._locked():
                if self.read() != over:
                    return None
                write_whole(self._path, content)
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be written: {error.strerror}") from None
        return Version(content)

    def _create(self, content: bytes) -> Version | None:
        whole = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        with whole_file(whole) as partial:
            partial.write_bytes(content)
        try:
            os.link(whole, self._path)
        except FileExistsError:
            return None
        finally:
            whole.unlink()
        return Version(content)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        guard = self._path.with_name(f".{self._path.name}.partial")
        lock = FileLock(guard, timeout=_RETRY_S, fallback_to_soft=False)
        try:
            lock.acquire()
        except OSError as error:  # without locks, the time between reading and renaming remains
            if error.errno not in NO_LOCKS:
                raise
        try:
            yield
        finally:
            guard.unlink(missing_ok=True)
            lock.release()


class Settled:
    """An object of a server that takes no conditions: who writes looks whether it lasts."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def read(self) -> Version | None:
        """See :class:`Exclusive`."""
        content = self._store.get(self._name)
        return None if content is None else Version(content)

    def write(self, content: bytes, over: Version | None) -> Version | None:
        """See :class:`Exclusive`."""
        if self.read() != over:
            return None
        self._store.put(self._name, content)
        time.sleep(SETTLE_S)
        written = Version(content)
        return written if self.read() == written else None


def _tag(facts: Any) -> dict[str, Any]:
    return {name: facts[name] for name in ("e_tag", "version") if facts[name] is not None}


@cache
def _opened(address: str) -> Any:
    """The storage at an address of Arrow's form, for obstore."""
    from obstore.store import GCSStore, S3Store

    parts = urlsplit(address)
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    common: dict[str, Any] = {
        "prefix": parts.path.strip("/") or None,
        "client_options": {"allow_http": True, "timeout": timedelta(seconds=_RETRY_S)},
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=_RETRY_S)},
    }
    if parts.scheme != "s3":
        return GCSStore(parts.netloc, **common)
    if "endpoint_override" in given:
        common["endpoint"] = f"{given.get('scheme', 'https')}://{given['endpoint_override']}"
    region = given.get("region") or _region(parts.netloc, "endpoint" in common)
    return S3Store(parts.netloc, region=region, virtual_hosted_style_request=False, **common)


def _region(bucket: str, elsewhere: bool) -> str:
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named or elsewhere or "AWS_ENDPOINT_URL" in os.environ:
        return named or "us-east-1"
    from pyarrow.fs import resolve_s3_region

    return str(resolve_s3_region(bucket))
