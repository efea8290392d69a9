"""The copies of the user's modules that a run keeps beside its results, and works from.

A cell's code names the digest of the modules that it was computed from, and ``code/<digest>/``
holds them, so every version that a run has worked with can be read, run and compared.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lrray.results.folder import RunFolder
from lrray.studies.code import Module, UserCode

CODE = "code"

LARGEST_BYTES = 1_000_000
"""A longer module is data; it is imported from where it lies."""

LARGEST_COPY_BYTES = 20_000_000


def save_code(folder: RunFolder, code: UserCode) -> None:
    """Keeps a copy of modules as UTF-8 text, and nothing else beside it.

    Workers run what lies there, and a folder may come from somebody else: what it held before is
    made to be the modules of this very process.
    """
    left, kept = LARGEST_COPY_BYTES, set[str]()
    for module in code.modules:
        left -= len(module.content)
        if len(module.content) <= LARGEST_BYTES and left >= 0:
            name = f"{CODE}/{code.digest}/{_file(module)}"
            kept.add(name)
            if _kept_text(folder.path / name) != module.text:
                folder.write_text(name, module.text)
    for file in sorted((folder.path / CODE / code.digest).rglob("*")):
        name = str(file.relative_to(folder.path))
        if name not in kept and (file.is_symlink() or not file.is_dir()):
            folder.remove(name)


def _kept_text(file: Path) -> str | None:
    """What a file holds, where it is one of its own and not a link to another."""
    if file.is_symlink() or not file.is_file():
        return None
    return _read(file)


def copied_files(run: Path, digest: str) -> dict[str, Path]:
    """Module -> file of a copy; empty where the run keeps none."""
    base = run / CODE / digest
    return {_module(file.relative_to(base)): file for file in sorted(base.rglob("*.py"))}


def changed_modules(old: Mapping[str, Path], new: UserCode) -> list[Module]:
    """Modules that differ from their copy, or have come since."""
    return [module for module in new.modules if _read(old.get(module.name)) != module.text]


def differences(old: Mapping[str, Path], new: UserCode) -> str:
    """A unified diff from a copy to modules as they are, by the names of their files."""
    texts = {module.name: module.text for module in new.modules}
    parts: list[str] = []
    for name in sorted({*old, *texts}):
        before, after = _read(old.get(name)), texts.get(name, "")
        file = name.replace(".", "/") + ".py"
        parts += difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True),
            f"then/{file}", f"now/{file}",
        )  # fmt: skip
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in parts)


def _read(file: Path | None) -> str:
    return "" if file is None else file.read_bytes().decode("utf-8", "backslashreplace")


def _file(module: Module) -> PurePosixPath:
    path = PurePosixPath(*module.name.split("."))
    return path / "__init__.py" if module.is_package else path.with_name(f"{path.name}.py")


def _module(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
