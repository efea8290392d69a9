"""Workers import the run's own copy of the user's modules.

So what is edited while a study runs changes nothing before its next start, and a cell is computed
from the very code that its identity names. Only the source comes from the copy: a module's
``__file__`` is the original one, so data beside it are found there, and so is every module that the
copy does not hold.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from lrray.results.code_copy import CODE, copied_files
from lrray.results.folder import RunFolder
from lrray.storage.folder import StoredFolder
from lrray.studies.cell import Cell


def work_in(path: Sequence[str]) -> None:
    """Lets this process work in the first of these folders, and find modules in all.

    So a relative path means the same to a cell as to the command. Tune and Train move each of their
    workers to a folder of its own. On a node that has no such folder the worker stays there.
    """
    sys.path[:0] = [folder for folder in path if folder not in sys.path]
    with suppress(OSError):
        os.chdir(path[0])


def import_copy(cell: Cell, folder: RunFolder) -> None:
    """Lets this process import the modules that a cell's code names from the run's copy."""
    if cell.user_code is None:
        return
    name = f"{CODE}/{cell.user_code}"
    if isinstance(folder, StoredFolder) and not (folder.path / name).is_dir():
        folder.fetch(folder.store.listing(name))
    files = copied_files(folder.path, cell.user_code)
    present = [finder for finder in sys.meta_path if isinstance(finder, _Copy)]
    if not files or [finder.files for finder in present] == [files]:
        return
    for finder in present:
        sys.meta_path.remove(finder)
    sys.meta_path.insert(0, _Copy(files))
    for module in files:  # of another copy, or imported before
        sys.modules.pop(module, None)


class _Copy(MetaPathFinder):
    """Finds modules in a copy."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = dict(files)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of a module that the copy holds; None for the others."""
        if fullname not in self.files:
            return None
        copy = self.files[fullname]
        file = _original(fullname, path, copy)
        folders = [str(file.parent)] if copy.name == "__init__.py" else None
        loader = _Loader(copy, file)
        return spec_from_file_location(
            fullname, file, loader=loader, submodule_search_locations=folders
        )


def _original(name: str, path: Sequence[str] | None, copy: Path) -> Path:
    """The file that a copy is of, on this node; the copy itself where that is gone."""
    spec = PathFinder.find_spec(name, path)
    file = copy if spec is None or spec.origin is None else Path(spec.origin)
    is_package = copy.name == "__init__.py"
    return file if (file.name == "__init__.py") == is_package else copy


class _Loader(SourceLoader):
    """Runs the source of a copy as that of another file."""

    def __init__(self, copy: Path, file: Path) -> None:
        self._copy, self._file = copy, file

    def get_data(self, path: str | bytes) -> bytes:
        """Of the copy, whatever the path: no compiled file of the original is read or written."""
        return self._copy.read_bytes()

    def source_to_code(self, data: Any, path: Any = "") -> CodeType:  # type: ignore[override]
        """From UTF-8, as copies are kept, whatever encoding the text names."""
        return super().source_to_code(bytes(data).decode("utf-8"), path)

    def get_filename(self, fullname: str) -> str:
        """Of the original."""
        return str(self._file)

    def exec_module(self, module: ModuleType) -> None:
        """Runs it; tracebacks show the lines that ran."""
        source, name = self._copy.read_text("utf-8"), str(self._file)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        super().exec_module(module)
