"""The user's own code that results depend on: modules, what they import, and what they compute.

Nothing is executed here: what a module imports is read from its syntax tree, wherever an import
stands (conditional, inside a function, relative). Followed are modules outside the standard library
and the installed packages: those of the study's folder, the working folder and source trees on
``PYTHONPATH``. lrray itself counts as installed, also in a source tree.
"""

from __future__ import annotations

import ast
import hashlib
import io
import sys
import sysconfig
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

_LRRAY = Path(__file__).resolve().parents[1]
_STDLIB = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Module:
    """A module of the user's, as its file is at one moment."""

    name: str
    """``my_package.part``."""
    file: Path
    content: bytes
    """Of the file; empty for a package without ``__init__.py``."""

    @property
    def is_package(self) -> bool:
        """Whether it holds other modules."""
        return self.file.name == "__init__.py"

    @cached_property
    def text(self) -> str:
        """Its source; what cannot be decoded is escaped."""
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(self.content).readline)
        except SyntaxError:
            encoding = "utf-8"
        return self.content.decode(encoding, "backslashreplace")

    @cached_property
    def tree(self) -> ast.Module | None:
        """Its syntax tree, or None where this Python cannot read it."""
        try:
            return ast.parse(self.content)
        except (SyntaxError, ValueError, RecursionError):
            return None

    def computes(self) -> Any:
        """What it computes as plain data: neither comments, docstrings nor layout are in it."""
        try:
            return repr(self.content) if self.tree is None else _plain(self.tree)
        except RecursionError:  # thousands of terms in one expression
            return repr(self.content)


@dataclass(frozen=True)
class UserCode:
    """Modules of the user's that belong together, in the order of their names."""

    modules: tuple[Module, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Of the modules."""
        return frozenset(module.name for module in self.modules)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of what they compute: the same on every machine, wherever they lie."""
        content = repr([(module.name, module.computes()) for module in self.modules])
        return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def user_code(names: Iterable[str]) -> UserCode:
    """The user's modules of these names and all that they import, directly or through others.

    Args:
        names: dotted; those of installed packages add nothing, and so do those that are not there.
    """
    found: dict[str, Module | None] = {}
    waiting = [part for name in names for part in _with_parents(name)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = module = _find(name)
            waiting += [] if module is None else _imported(module)
    return UserCode(tuple(module for _, module in sorted(found.items()) if module is not None))


def user_code_at_start(names: Iterable[str]) -> UserCode:
    """The same as when it was first asked for since :func:`read_code_anew`.

    A study's cells are made one by one while it runs: edits meanwhile are no matter of theirs.
    """
    return _first_read(tuple(names), Path.cwd())


@cache
def _first_read(names: tuple[str, ...], here: Path) -> UserCode:
    return user_code(names)


def read_code_anew() -> None:
    """Lets :func:`user_code_at_start` see what was edited since; called where a study begins."""
    _first_read.cache_clear()


def _plain(node: Any) -> Any:
    """A syntax tree as tuples, alike for all versions of Python: empty fields are left out."""
    if isinstance(node, list):
        return [_plain(item) for item in node if not _is_docstring(item)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, _plain(value)) for name, value in ast.iter_fields(node) if name != "kind"]
    return (type(node).__name__, [pair for pair in fields if pair[1] not in ([], "None")])


def _is_docstring(item: Any) -> bool:
    """Whether it is a statement that is a constant alone: it computes nothing."""
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)


def _find(name: str) -> Module | None:
    """A module of the user's by its dotted name; its parents are not imported for it."""
    top, *inner = name.split(".")
    spec = _top_level(top)
    if spec is None:
        return None
    if not inner:
        return _module(top, Path(spec.origin)) if spec.origin is not None else None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for part in inner[:-1]:
        folders = [folder / part for folder in folders if (folder / part).is_dir()]
    for folder in folders:
        for file in (folder / inner[-1] / "__init__.py", folder / f"{inner[-1]}.py"):
            if file.is_file():
                return _module(name, file)
    return None


def _top_level(name: str) -> ModuleSpec | None:
    """Where Python would find a module: in the working folder as well, or by an import hook."""
    here = str(Path.cwd())
    path = sys.path if here in sys.path else [here, *sys.path]
    spec = PathFinder.find_spec(name, path)
    hooks = iter(sys.meta_path)
    while spec is None and (hook := next(hooks, None)) is not None:
        spec = hook.find_spec(name, None)
    return spec


def _module(name: str, file: Path) -> Module | None:
    """The module in a file, or None where that is no source or not the user's."""
    file = file.absolute()
    if file.suffix != ".py" or _is_installed(file) or _is_installed(file.resolve()):
        return None
    try:
        return Module(name, file, file.read_bytes())
    except OSError:
        return None


def _is_installed(file: Path) -> bool:
    if file.is_relative_to(_LRRAY) or not _INSTALLED.isdisjoint(file.parts):
        return True
    return any(file.is_relative_to(folder) for folder in _STDLIB)


def _imported(module: Module) -> Iterator[str]:
    """Names of modules that may be meant by the imports of a module, parents included."""
    for node in ast.walk(module.tree) if module.tree is not None else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            yield from _with_parents(base)
            # What is imported from a package may be a module of it.
            names = [alias.name for alias in node.names]
            names += _all(base) if "*" in names else []
            yield from (f"{base}.{name}" for name in names if base)
        elif isinstance(node, ast.Call):
            yield from _with_parents(_called_import(node))


def _base(module: Module, node: ast.ImportFrom) -> str:
    """What a ``from … import`` imports from, dots resolved; empty where they lead out."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    keep = len(parts) + module.is_package - node.level
    return ".".join([*parts[:keep], *([node.module] if node.module else [])]) if keep > 0 else ""


def _all(package: str) -> list[str]:
    """What ``from package import *`` asks for by name."""
    module = _find(package)
    if module is None or module.tree is None:
        return []
    return [
        element.value
        for node in module.tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Tuple)
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
        for element in node.value.elts
        if isinstance(element, ast.Constant) and isinstance(element.value, str)
    ]


def _called_import(node: ast.Call) -> str:
    """The module of ``import_module("…")`` or ``__import__("…")``; empty for another call."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    name = function.id if isinstance(function, ast.Name) else name
    if name not in ("import_module", "__import__") or not node.args:
        return ""
    first = node.args[0]
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return ""
    return "" if first.value.startswith(".") else first.value


def _with_parents(name: str) -> list[str]:
    """``a``, ``a.b`` and ``a.b.c`` for ``a.b.c``: importing the last runs them all."""
    parts = name.split(".") if name else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
