"""The record of one finished cell: how it ended, and whether its file is whole."""

from __future__ import annotations

import json
from typing import Any

from lrray.studies.cell import digest

DONE, FAILED, STOPPED = "done", "failed", "stopped"
"""How a cell ended; ``stopped`` by a scheduler, because others were better."""


def parse_record(content: bytes, cell_id: str) -> dict[str, Any] | None:
    """The record in a cell's file, or None where that is damaged or another cell's."""
    try:
        record = json.loads(content)
        checksum = record.pop("checksum")
        whole = checksum == digest(record) and record["id"] == cell_id
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return dict(record) if whole else None


def _plain(data: Any) -> Any:
    """Data as JSON has it, with null for NaN and infinity, e.g. an undefined standard error."""
    return json.loads(json.dumps(data, default=float), parse_constant=lambda name: None)
