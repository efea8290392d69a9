"""Every row of ``functions/returns.yaml`` is a cell that is run; then its report is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lrray.config import dump_yaml
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.kinds.function import Study
from lrray.reports.report import write_report
from lrray.results.folder import RunFolder
from lrray.results.run import Run
from lrray.studies.cell import make_cell
from lrray.studies.grid import expand

ROWS = yaml.safe_load((Path(__file__).parent / "functions" / "returns.yaml").read_text())["trials"]
STUDY = {
    "kind": "function", "question": "q", "hypothesis": "h",
    "function": "tests.field.functions.returning:row",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = RunFolder.create(tmp_path_factory.mktemp("returns"), "returns")
    made.write_text("study.yaml", dump_yaml(STUDY))
    return made


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["brought"])
def test_what_functions_do(row: dict[str, Any], folder: RunFolder) -> None:
    code = row.get("returns") or row.get("logs") or row["raises"]
    data = {**STUDY, "settings": {"code": code, "logs": "logs" in row}}
    cell = make_cell(expand(data, Study, "f.yaml")[0].study, {"brought": row["brought"]})
    record = run_durably(cell, folder, Limits(max_failures=0))
    if "says" in row:
        assert record.state == "failed", record.result
        assert row["says"] in record.reason
        assert "\n" not in record.reason
    else:
        assert record.state == "done", record.reason
        assert repr(dict(record.result)) == repr(row.get("gives", {"loss": 1.0}))
    if "points" in row:
        assert repr(Run(folder.path).metrics(cell.id)) == repr(row["points"])


def test_whatever_they_gave_is_in_the_report(folder: RunFolder) -> None:
    page = write_report(folder.path)[0].read_text()
    assert "Damaged files" not in page
    assert "cannot be drawn" not in page
