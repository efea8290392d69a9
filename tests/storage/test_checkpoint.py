"""Checkpoints in a storage: whole, and the newest wins."""

import os
import uuid

import pytest

from lrray.errors import StorageError
from lrray.storage.checkpoint import Snapshot
from lrray.storage.objects import open_store


@pytest.fixture
def store(s3):
    return open_store(s3.address(uuid.uuid4().hex))


@pytest.fixture
def nodes(store, tmp_path):
    return [Snapshot(store, tmp_path / name, "cell") for name in ("one", "other")]


def write(snapshot, files):
    for name, text in files.items():
        path = snapshot.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(".new.tmp")
        new.write_text(text)
        new.replace(path)


def content(snapshot):
    found = snapshot.path.rglob("*")
    return {str(p.relative_to(snapshot.path)): p.read_text() for p in found if p.is_file()}


def test_a_checkpoint_moves_to_another_node_and_back(nodes):
    one, other = nodes
    assert not one.pull()  # there is none
    write(one, {"step_1/model": "a", "step_1/state": "1"})
    one.commit()
    one.push()
    assert other.pull()
    assert content(other) == {"step_1/model": "a", "step_1/state": "1"}
    write(other, {"step_2/model": "b", "step_2/state": "2"})
    (other.path / "step_1/model").unlink()
    (other.path / "step_1/state").unlink()
    other.commit()
    other.push()
    assert one.pull()
    assert content(one) == {"step_2/model": "b", "step_2/state": "2"}


def test_what_was_written_here_since_the_last_exchange_stays(nodes):
    one, _ = nodes
    write(one, {"step": "1"})
    one.commit()
    one.push()
    write(one, {"step": "2"})  # and then its worker died
    again = Snapshot(one.store, one.folder, "cell")
    assert not again.pull()
    assert content(again) == {"step": "2"}


def test_nodes_that_compute_together_begin_with_what_is_stored(nodes):
    one, other = nodes
    write(one, {"step": "1"})
    assert one.pull(exactly=True)
    assert content(one) == {}  # none was copied
    write(one, {"step": "1"})
    one.commit()
    one.push()
    write(one, {"step": "2"})  # and then the other died
    again = Snapshot(one.store, one.folder, "cell")
    assert again.pull(exactly=True)
    assert other.pull(exactly=True)
    assert content(again) == content(other) == {"step": "1"}
    assert not Snapshot(one.store, one.folder, "cell").pull(exactly=True)


def test_a_copy_that_was_cut_short_leaves_the_one_before(nodes):
    one, other = nodes
    write(one, {"model": "a", "state": "1"})
    one.commit()
    one.push()
    write(one, {"model": "b", "state": "2"})
    one.commit()
    assert one._copy(one._pending)  # and then its node died
    assert other.pull()
    assert content(other) == {"model": "a", "state": "1"}


def test_objects_of_older_snapshots_are_removed_and_unchanged_files_are_not_sent_again(nodes):
    one, _ = nodes
    write(one, {"large": "x" * 1000, "step": "0"})
    one.commit()
    one.push()
    (large,) = [name for name in one.store.listing() if "/large~" in name]
    for step in range(1, 5):
        write(one, {"step": str(step)})
        one.commit()
        one.push()
    names = set(one.store.listing())
    assert len(names) == 3  # two files and what names them
    assert large in names


def test_files_still_being_written_are_left_out(nodes):
    one, other = nodes
    write(one, {"step": "1"})
    (one.path / ".step_2.partial").mkdir()
    (one.path / ".step_2.partial" / "model").write_text("half")
    one.commit()
    one.push()
    other.pull()
    assert content(other) == {"step": "1"}


def test_curves_are_read_after_the_checkpoint_and_last_before_it(nodes):
    one, _ = nodes
    write(one, {"step": "1"})
    seen = []
    one.commit()
    one.push(first=lambda: seen.append("checkpoints/cell.json" in one.store.listing()))
    assert seen == [False]
    assert "checkpoints/cell.json" in one.store.listing()


def test_times_come_along_so_that_a_fresh_worker_sends_nothing_again(nodes):
    one, other = nodes
    write(one, {"step": "1"})
    os.utime(one.path / "step", ns=(10**18, 10**18 + 7))
    one.commit()
    one.push()
    other.pull()
    before = one.store.listing()
    again = Snapshot(other.store, other.folder, "cell")
    again.commit()
    again.push()
    assert one.store.listing() == before


def test_of_several_commits_the_newest_is_copied_and_nothing_is_left_aside(nodes):
    one, other = nodes
    for step in ("1", "2", "3"):
        write(one, {"model": step, "state": step})
        one.commit()
    write(one, {"state": "half of the next"})
    one.push()
    other.pull()
    assert content(other) == {"model": "3", "state": "3"}
    assert len(one.store.listing()) == 3
    assert not list(one.path.parent.glob(".*.commit"))


def test_a_file_that_is_changed_in_place_after_a_commit_leaves_the_checkpoint_before(nodes):
    one, other = nodes
    write(one, {"model": "1", "state": "1"})
    one.commit()
    one.push()
    write(one, {"model": "2"})
    one.commit()
    with (one.path / "model").open("a") as file:
        file.write(" and half of the next")
    one.push()
    other.pull()
    assert content(other) == {"model": "1", "state": "1"}


def test_a_commit_that_found_the_storage_away_is_copied_once_it_is_back(nodes, s3):
    one, other = nodes
    write(one, {"model": "1", "state": "1"})
    one.commit()
    once, patient = one.store.once(), one.store
    one.store = once
    s3.stop()
    try:
        with pytest.raises(StorageError):
            one.push()
    finally:
        s3.start()
    write(one, {"state": "half of the next"})
    one.store = patient
    one.push()
    other.pull()
    assert content(other) == {"model": "1", "state": "1"}


def test_what_a_killed_worker_had_put_aside_is_swept(nodes):
    one, _ = nodes
    write(one, {"model": "1"})
    one.commit()
    Snapshot(one.store, one.folder, "cell").pull()
    assert not list(one.path.parent.glob(".*.commit"))
