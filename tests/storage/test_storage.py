"""Objects by name: on a server that speaks S3 and on a path."""

import json
import threading
import uuid

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from lrray.config import Settings, parse
from lrray.errors import LrrayError, StorageError
from lrray.results.folder import RunFolder
from lrray.storage.checkpoint import Snapshot
from lrray.storage.folder import StoredFolder
from lrray.storage.objects import Store, open_store
from lrray.storage.sync import in_storage, newest_run
from lrray.studies.tracking import StorageAddress


@pytest.fixture(params=["s3", "path"])
def store(request, s3, tmp_path):
    if request.param == "path":
        return open_store(str(tmp_path / "storage")).below("run")
    return open_store(s3.address(uuid.uuid4().hex)).below("run")


def test_what_was_put_is_read_listed_and_removed(store):
    assert store.get("a/b.json") is None
    store.put("a/b.json", b"old")
    store.put("a/b.json", b"newer")
    store.put("a/c/d", b"")
    store.put("e", b"x")
    assert store.get("a/b.json") == b"newer"
    assert {name: found.size for name, found in store.listing().items()} == {
        "a/b.json": 5, "a/c/d": 0, "e": 1,
    }  # fmt: skip
    assert set(store.listing("a/c")) == {"a/c/d"}
    assert store.listing("nothing") == {}
    assert store.folders() == ["a"]
    store.remove("a/b.json")
    store.remove("a/b.json")
    assert store.get("a/b.json") is None


def test_files_go_there_and_come_back_whole(store, tmp_path):
    source, target = tmp_path / "source", tmp_path / "new" / "target"
    content = bytes(range(256)) * 50_000  # several blocks, more than one part of an upload
    source.write_bytes(content)
    store.upload("large", source)
    assert store.download("large", target)
    assert target.read_bytes() == content
    assert not store.download("small", target)
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_server_that_comes_back_costs_a_wait_and_two_lines(s3):
    lines = []
    store = Store(s3.address(uuid.uuid4().hex), say=lines.append)
    s3.stop()
    back = threading.Timer(8.0, s3.start)
    back.start()
    try:
        store.put("a", b"content")
    finally:
        back.join()
    assert store.get("a") == b"content"
    assert "does not answer" in lines[0]
    assert "more minutes" in lines[0]
    assert lines[-1].endswith("answers again")


def test_a_server_that_stays_away_is_an_error_in_the_end(s3):
    store = Store(s3.address("x"), patience_s=1.0)
    s3.stop()
    try:
        with pytest.raises(StorageError, match=r"does not answer \(fix: check the network"):
            store.put("a", b"content")
    finally:
        s3.start()


def test_a_bucket_that_is_not_there_is_named_at_once(s3):
    with pytest.raises(StorageError, match=r"s3://no-bucket/x: has no such bucket"):
        open_store(s3.address("x", bucket="no-bucket"))


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be used"):
        open_store(str(tmp_path / "file" / "storage"))


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid")
    storage: StorageAddress


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ftp://host/x", "must be s3://…, gs://… or a path"),
        ("s3://key:secret@bucket/x", "must hold no credentials"),
        ("s3:///x", "must name a bucket"),
    ],
)
def test_an_address_is_checked_where_it_is_written(address, message):
    with pytest.raises(ValidationError, match=message):
        Place(storage=address)


class Kept(Settings):
    storage: StorageAddress


@pytest.mark.parametrize(
    "address",
    ["https://hush:hush@host/x", "s3://k:hu/hush@bucket", "hush:hush@host", "ftp://x/hush@y"],
)
def test_what_may_be_a_secret_is_not_said_again(address):
    with pytest.raises(LrrayError) as refused:
        parse(Kept, {"storage": address}, "study.yaml")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/tmp/escaped"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    store = Store(str(tmp_path / "storage"))
    folder = StoredFolder(tmp_path / "study" / "run", store)
    with pytest.raises(StorageError, match="leads out of the run's folder"):
        folder.fetch(["study.yaml", name])
    files = {name: {"object": "object", "size": 1, "mtime_ns": 1}}
    store.put("object", b"x")
    store.put("checkpoints/cell.json", json.dumps({"files": files}).encode())
    with pytest.raises(StorageError, match="leads out of the run's folder"):
        Snapshot(store, folder.path, "cell").pull()
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("address", ["s3://b/p?region=x", "gs://b", "results", "/mnt/nfs/x"])
def test_good_addresses_pass(address):
    assert Place(storage=address).storage == address


def test_a_run_is_found_in_the_storage_from_its_first_moment(store, tmp_path):
    run = RunFolder.create(tmp_path / "one", "study")
    elsewhere = tmp_path / "other"
    assert newest_run(elsewhere, "study", store) is None
    in_storage(run, store).write_text("study.yaml", "kind: function\n")
    assert newest_run(elsewhere, "study", store) is None  # nobody works in it, and nothing is done
    store.below(run.name).put("lock.json", b"{}")
    found = newest_run(elsewhere, "study", store)
    assert found is not None
    assert found.path == elsewhere / "study" / run.path.name
