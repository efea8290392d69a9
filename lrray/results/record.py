"""The record of one finished cell: how it ended, what it gave, and whether its file is whole."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lrray.json_text import parse_json
from lrray.studies.cell import Cell, digest

CellState = Literal["done", "failed", "stopped"]

DONE: Final = "done"
FAILED: Final = "failed"
STOPPED: Final = "stopped"
"""By a scheduler, because others were better."""


@dataclass(frozen=True)
class CellRecord:
    """What ``cells/<id>.json`` holds."""

    id: str
    kind: str
    code: str
    """:attr:`lrray.studies.cell.Cell.code` that it was computed with."""
    state: CellState
    axes: Mapping[str, Any]
    settings: Mapping[str, Any] = field(repr=False)
    result: Mapping[str, Any] = field(repr=False)
    """What :func:`run_cell` of its kind returned; empty unless it is done."""
    seconds: float
    """Time spent on it, all attempts together."""
    reason: str
    """Why it failed, in one line; else empty."""
    host: str
    finished_at: float
    """Seconds since the epoch."""

    @classmethod
    def of(
        cls,
        cell: Cell,
        state: CellState,
        seconds: float,
        result: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> CellRecord:
        """The record of a cell that has ended here and now."""
        return cls(
            id=cell.id, kind=cell.kind, code=cell.code, state=state, axes=dict(cell.axes),
            settings=dict(cell.settings), result=result or {}, seconds=seconds, reason=reason,
            host=os.uname().nodename, finished_at=time.time(),
        )  # fmt: skip

    @classmethod
    def parse(cls, content: bytes, cell_id: str) -> CellRecord | None:
        """The record in a cell's file, or None where that is damaged or another cell's."""
        try:
            data = parse_json(content)
            checksum = data.pop("checksum")
            if checksum != digest(data) or data["id"] != cell_id:
                return None
            return cls._checked(data)
        except (ValueError, KeyError, AttributeError, TypeError):
            return None

    @classmethod
    def _checked(cls, data: Mapping[str, Any]) -> CellRecord | None:
        known = {name: data[name] for name in _TYPES if name in data}
        record = cls(**{"reason": "", **known})
        typed = all(isinstance(value, _TYPES[name]) for name, value in known.items())
        return record if typed and record.state in (DONE, FAILED, STOPPED) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data in the order of the file, without its checksum."""
        return plain_data({
            "id": self.id, "kind": self.kind, "code": self.code, "state": self.state,
            "seconds": self.seconds, **({"reason": self.reason} if self.state == FAILED else {}),
            "result": self.result, "axes": self.axes, "settings": self.settings,
            "host": self.host, "finished_at": self.finished_at,
        })  # fmt: skip

    def to_json(self) -> str:
        """The text of its file."""
        data = self.to_dict()
        return json.dumps({**data, "checksum": digest(data)}, indent=1) + "\n"


_TYPES: dict[str, Any] = {
    "id": str, "kind": str, "code": str, "state": str, "axes": dict, "settings": dict,
    "result": dict, "seconds": int | float, "reason": str, "host": str,
    "finished_at": int | float,
}  # fmt: skip


def plain_data(data: Any) -> Any:
    """Data as JSON has it, with null for NaN and infinity, e.g. an undefined standard error."""
    return json.loads(json.dumps(data, default=float), parse_constant=lambda name: None)
