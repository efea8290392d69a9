"""Checkpoints in a storage: whole, and the newest wins."""

import os
import uuid

import pytest

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
    one.push()
    assert other.pull()
    assert content(other) == {"step_1/model": "a", "step_1/state": "1"}
    write(other, {"step_2/model": "b", "step_2/state": "2"})
    (other.path / "step_1/model").unlink()
    (other.path / "step_1/state").unlink()
    other.push()
    assert one.pull()
    assert content(one) == {"step_2/model": "b", "step_2/state": "2"}


def test_what_was_written_here_since_the_last_exchange_stays(nodes):
    one, _ = nodes
    write(one, {"step": "1"})
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
    one.push()
    write(one, {"model": "b", "state": "2"})
    one._copied()  # and then its node died
    assert other.pull()
    assert content(other) == {"model": "a", "state": "1"}


def test_objects_of_older_snapshots_are_removed_and_unchanged_files_are_not_sent_again(nodes):
    one, _ = nodes
    write(one, {"large": "x" * 1000, "step": "0"})
    one.push()
    (large,) = [name for name in one.store.listing() if "/large~" in name]
    for step in range(1, 5):
        write(one, {"step": str(step)})
        one.push()
    names = set(one.store.listing())
    assert len(names) == 3  # two files and what names them
    assert large in names


def test_files_still_being_written_are_left_out(nodes):
    one, other = nodes
    write(one, {"step": "1"})
    (one.path / ".step_2.partial").mkdir()
    (one.path / ".step_2.partial" / "model").write_text("half")
    one.push()
    other.pull()
    assert content(other) == {"step": "1"}


def test_curves_are_read_after_the_checkpoint_and_last_before_it(nodes):
    one, _ = nodes
    write(one, {"step": "1"})
    seen = []
    one.push(first=lambda: seen.append("checkpoints/cell.json" in one.store.listing()))
    assert seen == [False]
    assert "checkpoints/cell.json" in one.store.listing()


def test_times_come_along_so_that_a_fresh_worker_sends_nothing_again(nodes):
    one, other = nodes
    write(one, {"step": "1"})
    os.utime(one.path / "step", ns=(10**18, 10**18 + 7))
    one.push()
    other.pull()
    before = one.store.listing()
    Snapshot(other.store, other.folder, "cell").push()
    assert one.store.listing() == before
