"""Files are whole or absent."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lrray.files import files_below, whole_file, write_whole


def test_text_and_bytes_are_written_and_folders_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "text", "ä")
    write_whole(tmp_path / "a" / "text", b"b")
    assert (tmp_path / "a" / "text").read_bytes() == b"b"


def test_an_interrupted_write_leaves_the_old_content_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_whole(target, b"old")

    def write_half() -> None:
        with whole_file(target) as half:
            half.write_bytes(b"ne")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_readers_see_the_old_or_the_new_content_while_a_file_is_rewritten(tmp_path: Path) -> None:
    target = tmp_path / "file"
    contents = {bytes([65 + i]) * 100_000 for i in range(2)}
    write_whole(target, min(contents))
    child = os.fork()
    if child == 0:
        try:
            for i in range(50):
                write_whole(target, sorted(contents)[i % 2])
            os._exit(0)
        finally:
            os._exit(1)
    seen = set()
    ended = (0, 0)
    while ended == (0, 0):
        seen.add(target.read_bytes())
        ended = os.waitpid(child, os.WNOHANG)
    assert ended == (child, 0)
    assert seen <= contents
    assert target.read_bytes() == max(contents)


def test_a_folder_that_vanishes_while_it_is_listed_is_no_error(tmp_path: Path) -> None:
    for name in ("new/model", "old/model", "old/deep/state"):
        write_whole(tmp_path / name, "x")
    found = []
    for path in files_below(tmp_path):
        found.append(path.relative_to(tmp_path))
        for folder in {"old", "new"} - {found[0].parts[0]}:
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
    assert {path.parts[0] for path in found} == {found[0].parts[0]}
