"""The file of a cell: its bytes are those of every earlier version, and only whole ones count."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lrray.results.record import DONE, FAILED, CellRecord
from lrray.studies.cell import Cell, digest

CELL = Cell("function", {"rate": 0.1, "steps": 3}, {"rate": 0.1}, code="c0de")

WRITTEN_BY_0_2_0 = b"""{
 "id": "%s",
 "kind": "function",
 "code": "c0de",
 "state": "failed",
 "seconds": 2,
 "reason": "ValueError: NaN",
 "result": {},
 "axes": {
  "rate": 0.1
 },
 "settings": {
  "rate": 0.1,
  "steps": 3
 },
 "host": "node1",
 "finished_at": 1760000000.25,
 "checksum": "%s"
}
"""


def written() -> bytes:
    facts: dict[str, Any] = {"id": CELL.id, "kind": "function", "code": "c0de", "state": "failed"}
    facts |= {"seconds": 2, "reason": "ValueError: NaN", "result": {}, "axes": {"rate": 0.1}}
    facts |= {"settings": {"rate": 0.1, "steps": 3}, "host": "node1", "finished_at": 1760000000.25}
    return WRITTEN_BY_0_2_0 % (CELL.id.encode(), digest(facts).encode())


def test_a_record_is_written_byte_for_byte_as_it_was_read() -> None:
    record = CellRecord.parse(written(), CELL.id)
    assert record is not None
    assert (record.state, record.reason, record.seconds) == (FAILED, "ValueError: NaN", 2)
    assert (record.axes, record.host) == ({"rate": 0.1}, "node1")
    assert record.to_json().encode() == written()


def test_a_done_cell_keeps_no_reason_and_null_for_nan() -> None:
    record = CellRecord.of(CELL, DONE, 1.5, {"loss": 0.5, "loss_se": float("nan")})
    data = json.loads(record.to_json())
    assert "reason" not in data
    assert data["result"] == {"loss": 0.5, "loss_se": None}
    assert CellRecord.parse(record.to_json().encode(), CELL.id) == replace(
        record, result=data["result"]
    )


@pytest.mark.parametrize(
    "changes",
    [{"state": "asleep"}, {"axes": [1]}, {"result": None}, {"seconds": "long"}, {"host": None}],
)
def test_a_record_with_a_field_of_another_type_counts_as_damaged(changes: dict[str, Any]) -> None:
    data = {**CellRecord.of(CELL, DONE, 1.0, {}).to_dict(), **changes}
    text = json.dumps({**data, "checksum": digest(data)})
    assert CellRecord.parse(text.encode(), CELL.id) is None


def test_a_record_without_a_field_counts_as_damaged() -> None:
    data = CellRecord.of(CELL, DONE, 1.0, {}).to_dict()
    del data["settings"]
    text = json.dumps({**data, "checksum": digest(data)})
    assert CellRecord.parse(text.encode(), CELL.id) is None
