"""Where results last when nodes share no disk: named objects on S3, Google Cloud or any path.

A server that goes away is asked again, with growing waits, for minutes. Credentials are the
environment's matter (``AWS_ACCESS_KEY_ID`` …, an instance's role); ``AWS_ENDPOINT_URL`` or the
query of the address (``s3://bucket/prefix?endpoint_override=host:9000&scheme=http``) names a
server other than Amazon's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lrray.errors import StorageError
from lrray.files import whole_file

PATIENCE_S = 600.0
"""How long a server may stay away before that is an error."""

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0

_BLOCK = 2**22
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Found:
    """What a listing says about an object."""

    size: int
    changed_ns: int


@dataclass(frozen=True)
class Store:
    """Objects by name below an address.

    Args:
        address: see :data:`StorageAddress`; of a path, an absolute one.
        prefix: goes before every name.
        say: hears in one line that the server is away, and that it is back.
        patience_s: how long it may be away.
    """

    address: str
    prefix: str = ""
    say: Callable[[str], None] = lambda line: None
    patience_s: float = PATIENCE_S

    def below(self, prefix: str) -> Store:
        """The objects whose names begin with ``prefix/``."""
        return replace(self, prefix=f"{self.prefix}{prefix}/")

    def once(self) -> Store:
        """The same with a single try."""
        return replace(self, patience_s=0.0, say=lambda line: None)

    def __str__(self) -> str:
        base, _, _ = self.address.partition("?")
        return f"{base.rstrip('/')}/{self.prefix}".rstrip("/")

    def get(self, name: str) -> bytes | None:
        """An object's content, or None where there is none."""

        def read() -> bytes:
            system, path = self._place(name)
            with system.open_input_stream(path) as stream:
                return bytes(stream.read())

        try:
            return self._patiently(read)
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """Writes an object: the old content or the new is there, never half of one."""

        def write() -> None:
            with self._opened(name) as stream:
                stream.write(content)

        self._patiently(write)

    def upload(self, name: str, source: Path) -> None:
        """Copies a file to an object.

        Raises:
            FileNotFoundError: the file is gone.
        """

        def copy() -> None:
            with source.open("rb") as file, self._opened(name) as stream:
                while block := file.read(_BLOCK):
                    stream.write(block)

        self._patiently(copy)

    def download(self, name: str, target: Path) -> bool:
        """Copies an object to a file, which appears whole; whether there is such an object."""

        def copy() -> None:
            system, path = self._place(name)
            with (
                system.open_input_stream(path) as stream,
                whole_file(target) as partial,
                partial.open("wb") as file,
            ):
                while block := stream.read(_BLOCK):
                    file.write(block)

        try:
            self._patiently(copy)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Removes an object if it is there."""
        with suppress(FileNotFoundError):
            self._patiently(lambda: _removed(*self._place(name)))

    def listing(self, prefix: str = "") -> dict[str, Found]:
        """All objects whose names begin with ``prefix/``; with none given, all there are."""
        return self._patiently(lambda: self._found(prefix))

    def folders(self) -> list[str]:
        """Names of the folders right here, sorted."""
        from pyarrow.fs import FileSelector, FileType

        def names() -> list[str]:
            system, path = self._place("")
            found = system.get_file_info(FileSelector(path, allow_not_found=True))
            return sorted(i.base_name for i in found if i.type == FileType.Directory)

        return self._patiently(names)

    def _found(self, prefix: str) -> dict[str, Found]:
        from pyarrow.fs import FileSelector, FileType

        system, path = self._place(prefix)
        _, base = self._place("")
        listed = system.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
        return {
            info.path[len(base) :].lstrip("/"): Found(info.size, info.mtime_ns or 0)
            for info in listed
            if info.type == FileType.File and not info.base_name.endswith(".partial")
        }

    def _place(self, name: str) -> tuple[Any, str]:
        system, base = _opened_system(self.address)
        return system, "/".join(filter(None, [base.rstrip("/"), f"{self.prefix}{name}".strip("/")]))

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        """A stream into an object. In object stores it appears whole; on disks by a renaming."""
        system, path = self._place(name)
        if system.type_name != "local":
            with system.open_output_stream(path) as stream:
                yield stream
            return
        folder, _, leaf = path.rpartition("/")
        system.create_dir(folder, recursive=True)
        partial = f"{folder}/.{leaf}.{secrets.token_hex(4)}.partial"
        with system.open_output_stream(partial) as stream:
            yield stream
        system.move(partial, path)

    def _patiently(self, do: Callable[[], _Result]) -> _Result:
        began, wait_s = time.monotonic(), FIRST_WAIT_S
        while True:
            try:
                result = do()
            except FileNotFoundError:
                raise
            except OSError as error:
                away_s = time.monotonic() - began
                if away_s >= self.patience_s:
                    raise _explained(self, error) from None
                self.say(f"{self} does not answer ({_reason(error)}); trying for "
                         f"{(self.patience_s - away_s) / 60:.0f} more minutes")  # fmt: skip
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                if wait_s > FIRST_WAIT_S:
                    self.say(f"{self} answers again")
                return result


def file_in(folder: Path, name: str) -> Path:
    """Where an object is kept in a folder: names in a storage may be anybody's.

    Raises:
        StorageError: the name leads out of the folder.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise StorageError(name, "is a name in the storage that leads out of the run's folder")
    return folder / name


def open_store(address: str, say: Callable[[str], None] = lambda line: None) -> Store:
    """The storage at an address, tried out with a small object.

    Raises:
        StorageError: it cannot be written; says why.
    """
    if "://" not in address:
        address = str(Path(address).resolve())
    store = Store(address, say=say)
    probe = f"probe-{secrets.token_hex(4)}"
    store.once().put(probe, b"lrray")
    store.once().remove(probe)
    return store


@cache
def _opened_system(address: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    if address.startswith("s3://"):
        # A small object is then one request instead of three.
        address += ("&" if "?" in address else "?") + "allow_delayed_open=true"
    try:
        system, path = FileSystem.from_uri(address)
    except ValueError as error:
        raise StorageError(address, _reason(error), fix="check the address") from None
    return system, path


def _removed(system: Any, path: str) -> None:
    system.delete_file(path)


_EXPLAINED = {
    "NO_SUCH_BUCKET": ("has no such bucket", "make the bucket, or check its name"),
    "ACCESS_DENIED": (
        "may not be written",
        "give credentials that may write",
    ),
    "InvalidAccessKeyId": ("does not know the credentials", "check AWS_ACCESS_KEY_ID"),
    "INVALID_ACCESS_KEY_ID": ("does not know the credentials", "check AWS_ACCESS_KEY_ID"),
    "SIGNATURE_DOES_NOT_MATCH": ("does not accept the credentials", "check the secret key"),
    "NETWORK_CONNECTION": ("does not answer", "check the network and AWS_ENDPOINT_URL"),
}


def _explained(store: Store, error: OSError) -> StorageError:
    for word, (rule, fix) in _EXPLAINED.items():
        if word in str(error):
            return StorageError(str(store), rule, fix=fix)
    return StorageError(str(store), f"cannot be used: {_reason(error)}", fix="check the address")


def _reason(error: Exception) -> str:
    """The heart of a message of Arrow's, which names the object, the request and the server."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).rpartition("AWS Error ")[2].split())[:120]
