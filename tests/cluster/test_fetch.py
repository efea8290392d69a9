"""A run comes here from its storage, without the cluster's help."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from lrray.cluster.fetch import from_storage, local_folder
from lrray.cluster.remote import pack, runs, unpack
from lrray.errors import LrrayError, StorageError
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


@pytest.mark.parametrize(
    "folder", ["/a/..", "/a/../..", "/", "/a", "/a/.hidden", "/a/-rf", "/-a/b"]
)
def test_a_cluster_cannot_name_a_folder_outside_of_the_results(folder: str, tmp_path: Path) -> None:
    with pytest.raises(LrrayError, match="is no folder of a run"):
        local_folder(PurePosixPath(folder), tmp_path)


def test_a_packed_run_arrives_as_it_was(tmp_path: Path) -> None:
    there = tmp_path / "there/decay/run"
    (there / "cells").mkdir(parents=True)
    (there / "cells/a.json").write_text("{}")
    unpack(pack(there), tmp_path / "here", "decay/run")
    assert (tmp_path / "here/decay/run/cells/a.json").read_text() == "{}"


def _archive(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> str:
    """As :func:`pack` prints it, with one member of a stranger's making."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, "/etc/passwd", size
        archive.addfile(member, io.BytesIO(bytes(size)))
    data = buffer.getvalue()
    return f"{base64.b64encode(data).decode()}\n{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("decay/run/../../../x", tarfile.REGTYPE),
        ("/etc/x", tarfile.REGTYPE),
        ("decay/other/cells/a.json", tarfile.REGTYPE),
        ("decay/run/cells", tarfile.SYMTYPE),
        ("decay/run/a.json", tarfile.LNKTYPE),
        ("decay/run/pipe", tarfile.FIFOTYPE),
    ],
)
def test_an_archive_writes_nothing_but_plain_files_of_its_run(
    name: str, kind: bytes, tmp_path: Path
) -> None:
    with pytest.raises(LrrayError, match="the cluster sent no file of this run"):
        unpack(_archive(name, kind), tmp_path / "here", "decay/run")
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]


def test_an_archive_that_would_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrray.cluster.remote.MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(LrrayError, match="the cluster sent 2 MiB"):
        unpack(_archive("decay/run/a", size=2**21), tmp_path, "decay/run")
