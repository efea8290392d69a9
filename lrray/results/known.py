"""Which finished cells of a run's folder count for the cells that a study asks for now.

A cell's id is a hash of its kind, its settings and the code that computes it. So a result of other
code has another id. It counts all the same where that code is known to compute the same, or where
the user said so; then the wanted cell takes the code of the record, and with it the id under which
result, curves and checkpoint lie. Nothing is renamed or written anew.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lrray.json_text import read_json
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, CellRecord
from lrray.studies.cell import Cell, digest

MakeCell = Callable[[Mapping[str, Any]], Cell]

KEPT = "kept.json"
"""File that names the codes whose results the user keeps, under ``codes``."""

_CODE_OF_0_2_0 = re.compile(r"[0-9a-f]{16}")
"""lrray 0.2.0 hashed the syntax trees of its own packages, or the module of the function."""


@dataclass
class KnownCells:
    """The records of a run's folder by what they are results of.

    Args:
        records: of the folder, at one moment.
        kept: codes whose results count whatever the code is now.
    """

    records: Sequence[CellRecord] = ()
    kept: frozenset[str] = frozenset()
    superseded: dict[str, CellRecord] = field(default_factory=dict, init=False)
    """Wanted cells without a result that counts, by id, and the newest result of other code."""

    @classmethod
    def of(cls, folder: RunFolder | None, keep_code: bool = False) -> KnownCells:
        """Those of a run; none without one.

        Args:
            folder: of the run.
            keep_code: whether all of them count, whatever code they came from.
        """
        if folder is None:
            return cls()
        records = list(folder.cells())
        kept = {record.code for record in records} if keep_code else kept_codes(folder)
        return cls(records, frozenset(kept))

    @cached_property
    def _of_settings(self) -> dict[str, list[CellRecord]]:
        """Records by their kind and settings; those that are done first, then the newest."""
        found: dict[str, list[CellRecord]] = defaultdict(list)
        order = sorted(self.records, key=lambda r: (r.state == DONE, r.finished_at), reverse=True)
        for record in order:
            found[_key(record)].append(record)
        return dict(found)

    def adopt(self, cell: Cell) -> Cell:
        """The cell with the code of the result that counts for it; as it is where there is none."""
        records = self._of_settings.get(_key(cell), []) if self._of_settings else []
        if any(record.code == cell.code for record in records):
            return cell
        for record in records:
            if self._counts(record, cell):
                return replace(cell, code=record.code)
        if records:
            self.superseded[cell.id] = records[0]
        return cell

    @property
    def superseded_records(self) -> list[CellRecord]:
        """The results of other code, each once."""
        return list({record.id: record for record in self.superseded.values()}.values())

    def adopting(self, make: MakeCell) -> MakeCell:
        """What makes cells from parameters, each adopted."""
        return lambda parameters: self.adopt(make(parameters))

    def _counts(self, record: CellRecord, cell: Cell) -> bool:
        """Whether a result of other code is as good as the cell's own."""
        if record.code in self.kept:
            return True
        of_0_2_0 = _CODE_OF_0_2_0.fullmatch(record.code) is not None
        if not of_0_2_0 or cell.code.split()[:2] != ["results", "1"]:
            return False  # or what the kind computes has changed since
        if cell.kind == "function":
            return record.code == self._hashed(str(cell.settings["function"]).partition(":")[0])
        return cell.user_code is None  # 0.2.0 took no code of the user's for other kinds

    def _hashed(self, module: str) -> str:
        if module not in self._hashes:
            self._hashes[module] = hash_of_0_2_0(module)
        return self._hashes[module]

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {}


def _key(one: Cell | CellRecord) -> str:
    return digest({"kind": one.kind, "settings": one.settings})


def kept_codes(folder: RunFolder) -> frozenset[str]:
    """Codes whose results the user keeps."""
    try:
        return frozenset(map(str, read_json(folder.path / KEPT)["codes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def keep_codes(folder: RunFolder) -> None:
    """Keeps the results that are in the folder, whatever code they came from."""
    codes = kept_codes(folder) | {record.code for record in folder.cells()}
    folder.write_json(KEPT, {"codes": sorted(codes)})


def hash_of_0_2_0(module: str) -> str:
    """What lrray 0.2.0 had as the code of a function's cell: its module, or the whole package.

    What these import did not count. Empty where there is no such source.
    """
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return ""
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
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
