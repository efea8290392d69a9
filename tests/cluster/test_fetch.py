"""A run comes here from its storage, without the cluster's help."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrray.cluster.fetch import from_storage
from lrray.cluster.remote import runs
from lrray.errors import StorageError
from lrray.results.folder import RunFolder
from lrray.storage.objects import Store
from lrray.storage.sync import in_storage
from lrray.studies.cell import Cell

CELL = Cell("function", {"rate": 0.1}, {"rate": 0.1}, "c0de")


@pytest.fixture
def head(tmp_path: Path) -> RunFolder:
    """The head's folder of a run that a job has written, with a storage behind it."""
    folder = in_storage(
        RunFolder.create(tmp_path / "head", "decay"), Store(str(tmp_path / "storage"))
    )
    folder.write_text("study.yaml", "kind: function\nstorage: s3://bucket/studies\n")
    folder.write_json("provenance.json", {"job": "decay-1"})
    return folder


def test_a_run_is_fetched_from_the_storage_that_its_study_names(
    head: RunFolder, tmp_path: Path
) -> None:
    head.save_cell(CELL, {"loss": 0.5}, 1.0)
    store = Store(str(tmp_path / "storage")).below(head.name)
    store.put(f"checkpoints/{CELL.id}.json", b"{}")
    store.put("lock.json", b"{}")
    here = RunFolder(tmp_path / "here" / head.name)
    from_storage(str(tmp_path / "storage"), here.path)
    assert [record.result for record in here.cells()] == [{"loss": 0.5}]
    assert {path.name for path in here.path.iterdir()} == {"cells", "study.yaml"}


@pytest.mark.parametrize(
    ("study", "address"),
    [
        ("storage: s3://bucket/studies", "s3://bucket/studies"),
        ("storage: /nodes/own", None),
        ("kind: function", None),
        ("kind: [", None),
    ],
)
def test_the_head_says_which_bucket_a_run_is_in(
    head: RunFolder, tmp_path: Path, study: str, address: str | None
) -> None:
    (head.path / "study.yaml").write_text(study)
    assert runs(tmp_path / "head")["decay-1"]["storage"] == address


def test_a_storage_that_holds_nothing_of_the_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"decay/run: holds nothing of this run"):
        from_storage(str(tmp_path / "storage"), tmp_path / "here" / "decay" / "run")
