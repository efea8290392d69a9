"""What a worker's cell leaves in the storage, and takes from it, wherever it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lrray.results.folder import RunFolder
from lrray.storage import cells
from lrray.storage.cells import Commit, checkpointed, handed_over
from lrray.storage.folder import StoredFolder
from lrray.storage.objects import Store
from lrray.studies.cell import Cell
from lrray.training.stopping import Stopped
from tests.waiting import comes_true

CELL = Cell("function", {"rate": 0.1}, {"rate": 0.1}, "c0de")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], StoredFolder]:
    """The run's folder on a node, by the node's name."""
    monkeypatch.setattr(cells, "PUSH_S", 0.02)
    store = Store(str(tmp_path / "storage")).below("study/run")

    def on(name: str) -> StoredFolder:
        path = tmp_path / name / "study" / "run"
        (path / "cells").mkdir(parents=True, exist_ok=True)
        return StoredFolder(path, store)

    return on


def write(folder: RunFolder, name: str, text: str) -> None:
    """Renames a checkpoint's file into place."""
    path = folder.path / "checkpoints" / CELL.id / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_text(text)
    path.with_suffix(".tmp").replace(path)


def stored(folder: StoredFolder) -> dict[str, str]:
    """The checkpoint that another node would begin with."""
    manifest = folder.store.get(f"checkpoints/{CELL.id}.json")
    if manifest is None:
        return {}
    files = json.loads(manifest)["files"]
    return {n: (folder.store.get(f["object"]) or b"").decode() for n, f in files.items()}


def content(folder: RunFolder) -> dict[str, str]:
    place = folder.path / "checkpoints" / CELL.id
    return {p.name: p.read_text() for p in place.rglob("*") if p.is_file()}


def test_a_run_in_its_own_folder_is_left_alone(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "study")

    def run_cell(cell: Cell, commit: Commit) -> str:
        write(folder, "step", "1")
        commit()
        return cell.id

    assert handed_over(checkpointed(run_cell, folder), folder)(CELL) == CELL.id
    assert content(folder) == {"step": "1"}


def test_what_a_cell_commits_is_stored_while_it_goes_on(node) -> None:
    here = node("here")

    def run_cell(cell: Cell, commit: Commit) -> None:
        for step in ("1", "2"):
            write(here, "model", step)
            write(here, "state", step)
            here.append_metrics(cell.id, {"step": int(step)})
            commit()
            write(here, "model", "half of the next")
            assert comes_true(lambda: stored(here) == {"model": step, "state": step})  # noqa: B023
        assert here.store.get(f"metrics/{cell.id}.jsonl") == b'{"step": 1}\n{"step": 2}\n'

    checkpointed(run_cell, here)(CELL)
    assert stored(here) == {"model": "2", "state": "2"}  # nobody said that what came later is whole


@pytest.mark.parametrize("ends", ["returns", "stops"])
def test_where_nothing_is_committed_the_end_does_so(node, ends: str) -> None:
    here = node("here")

    def run_cell(cell: Cell, commit: Commit) -> None:
        write(here, "model", "1")
        write(here, "state", "1")
        assert not comes_true(lambda: stored(here) != {}, within_s=0.3)  # they may not fit together
        if ends == "stops":
            raise Stopped

    if ends == "stops":
        with pytest.raises(Stopped):
            checkpointed(run_cell, here)(CELL)
    else:
        checkpointed(run_cell, here)(CELL)
    assert stored(here) == {"model": "1", "state": "1"}


def test_a_single_file_is_whole_whenever_it_is_found(node) -> None:
    here = node("here")

    def run_cell(cell: Cell, commit: Commit) -> None:
        for step in ("1", "2"):
            write(here, "step", step)
            assert comes_true(lambda: stored(here) == {"step": step})  # noqa: B023

    checkpointed(run_cell, here)(CELL)


def test_what_a_cell_leaves_when_it_fails_is_not_held_to_be_whole(node) -> None:
    here = node("here")

    def run_cell(cell: Cell, commit: Commit) -> None:
        write(here, "model", "1")
        write(here, "state", "1")
        raise ValueError

    with pytest.raises(ValueError):
        checkpointed(run_cell, here)(CELL)
    assert stored(here) == {}


def test_another_node_begins_with_what_was_committed_and_leaves_nothing_behind(node) -> None:
    here, there = node("here"), node("there")

    def begin(cell: Cell, commit: Commit) -> None:
        here.append_metrics(cell.id, {"step": 1})
        write(here, "model", "1")
        write(here, "state", "1")
        commit()
        write(here, "state", "2")
        raise Stopped

    def go_on(cell: Cell) -> str:
        assert content(there) == {"model": "1", "state": "1"}
        curves = there.path / "metrics" / f"{cell.id}.jsonl"
        assert curves.read_text() == '{"step": 1}\n'
        (there.path / "tensorboard" / cell.id).mkdir(parents=True)
        (there.path / "tensorboard" / cell.id / "events").write_text("e")
        return "done"

    with pytest.raises(Stopped):
        handed_over(checkpointed(begin, here), here)(CELL)
    assert handed_over(go_on, there)(CELL) == "done"
    assert [path for path in there.path.rglob("*") if path.is_file()] == []
    assert there.store.get(f"tensorboard/{CELL.id}/events") == b"e"


def test_a_record_that_the_storage_missed_is_sent_when_its_cell_comes_again(node) -> None:
    here = node("here")
    RunFolder(here.path).save_cell(CELL, {"loss": 0.5}, 1.0)  # the storage was away
    (record,) = handed_over(lambda cell: here.load_cells([cell.id]), here)(CELL)
    assert record is not None
    assert record.result == {"loss": 0.5}
    assert here.store.get(f"cells/{CELL.id}.json") is not None


def test_records_are_brought_here_from_wherever_cells_ended(node) -> None:
    here, there = node("here"), node("there")
    there.save_cell(CELL, {"loss": 0.5}, 1.0)
    record, none = here.load_cells([CELL.id, "0" * 16])
    assert record == there.load_cell(CELL.id)
    assert none is None


def test_weights_and_texts_that_a_cell_keeps_go_to_the_storage_and_leave_the_node(
    node: Callable[[str], StoredFolder],
) -> None:
    folder = node("one")
    kept = (f"samples/{CELL.id}.jsonl", f"weights/{CELL.id}/model.safetensors")

    def run_cell(cell: Cell, commit: Commit) -> str:
        for name in kept:
            (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
            (folder.path / name).write_text("kept")
        return cell.id

    handed_over(checkpointed(run_cell, folder), folder)(CELL)
    assert [folder.store.get(name) for name in kept] == [b"kept", b"kept"]
    assert not any((folder.path / name).exists() for name in kept)
