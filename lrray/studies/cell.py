"""What makes a cell itself: a hash of everything that changes its result, and of nothing else."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lrray.references import search_working_folder
from lrray.studies.kind import load_kind
from lrray.studies.schema import CellStudy, StudyBase


@dataclass(frozen=True)
class Cell:
    """One point of a study: settings that are run once and give one result."""

    kind: str
    """Which kind of study runs it."""
    settings: Mapping[str, Any] = field(repr=False)
    """Everything that its result depends on, as plain data; no resources, no paths."""
    axes: Mapping[str, Any]
    """The settings that tell it from its neighbours, for tables; no part of its identity."""
    code: str
    """:func:`result_code` of its study."""

    @cached_property
    def id(self) -> str:
        """16 hex digits, the same for equal settings whatever the order of their keys."""
        return digest({"kind": self.kind, "settings": self.settings, "code": self.code})

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a worker."""
        return {
            "kind": self.kind, "settings": dict(self.settings),
            "axes": dict(self.axes), "code": self.code,
        }  # fmt: skip


def digest(data: Any) -> str:
    """16 hex digits of plain data, the same whatever the order of mapping keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_version(*packages: str) -> str:
    """16 hex digits of what packages or modules compute: their syntax trees without docstrings.

    Comments, formatting and documentation do not count, so mending them reruns nothing.
    """
    files: list[Path] = []
    for package in packages:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        files += sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    trees = [ast.dump(_without_docstrings(ast.parse(file.read_text("utf-8")))) for file in files]
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()[:16]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                item for item in body
                if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
            ]  # fmt: skip
    return tree


def make_cell(study: CellStudy, axes: Mapping[str, Any], seeds: Sequence[int] = ()) -> Cell:
    """The cell of a resolved study; with ``seeds``, one that repeats it and averages."""
    settings = study.cell_settings()
    if seeds:
        settings["seed"] = list(seeds)
    return Cell(study.kind, settings, dict(axes), result_code(study))


def result_code(study: StudyBase) -> str:
    """What stands for the code behind a study's results.

    The ``results_version`` of its kind, and a hash of the user's own modules where these count.
    """
    version, modules = f"results {load_kind(study.kind).results_version}", study.user_modules()
    search_working_folder()  # a model's module may not have been imported yet
    return f"{version} {code_version(*modules)}" if modules else version
