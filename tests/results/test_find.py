"""Which run is meant, and which is worth continuing."""

from pathlib import Path

import pytest

from lrray.errors import LrrayError
from lrray.results.find import find_run, latest_run, set_tags, tags_of
from lrray.results.lock import FolderLock


def make_run(results: Path, name: str, *files: str) -> Path:
    path = results / name
    for file in ("study.yaml", *files):
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text("kind: function\n")
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    make_run(tmp_path, "a/20260101-000000-aaaa", "cells/1.json")
    make_run(tmp_path, "a/20260102-000000-bbbb", "cells/1.json")
    make_run(tmp_path, "b/20260103-000000-cccc", "cells/1.json")
    set_tags(tmp_path / "a/20260101-000000-aaaa", ["baseline"])
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("a", "a/20260102-000000-bbbb"),
        ("a/20260101-000000-aaaa", "a/20260101-000000-aaaa"),
        ("20260101-000000-aaaa", "a/20260101-000000-aaaa"),
        ("20260103", "b/20260103-000000-cccc"),
        ("baseline", "a/20260101-000000-aaaa"),
    ],
)
def test_a_run_is_found_by_study_name_id_or_tag(results: Path, reference: str, name: str) -> None:
    assert find_run(reference, results).name == name
    assert find_run(str(results / name)).name == name


@pytest.mark.parametrize(
    ("reference", "line"),
    [
        ("baselin", "baselin: names no run (fix: did you mean 'baseline'?)"),
        ("2026010", "2026010: means several runs: a/20260101-000000-aaaa, a/20260102-000000-bbbb, "
         "b/20260103-000000-cccc (fix: write one of them)"),
    ],
)  # fmt: skip
def test_a_wrong_reference_is_one_line(results: Path, reference: str, line: str) -> None:
    with pytest.raises(LrrayError) as error:
        find_run(reference, results)
    assert str(error.value) == line


def test_a_folder_without_runs_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(LrrayError, match=r"names no run \(fix: no run is in .*; give --out\)"):
        find_run("a", tmp_path / "none")


def test_a_run_stopped_before_its_first_cell_is_not_continued(results: Path) -> None:
    empty = make_run(results, "a/20260105-000000-dddd")
    assert latest_run(results, "a") == results / "a/20260102-000000-bbbb"
    assert find_run("a", results).name == "a/20260102-000000-bbbb"
    (empty / "checkpoints/1").mkdir(parents=True)
    assert latest_run(results, "a") != empty
    (empty / "checkpoints/1/step_5").write_text("")
    assert latest_run(results, "a") == empty


def test_a_run_without_a_cell_that_a_driver_works_in_is_the_newest(results: Path) -> None:
    empty = make_run(results, "a/20260105-000000-dddd")
    with FolderLock(empty):
        assert latest_run(results, "a") == empty
    assert latest_run(results, "a") != empty


def test_tags_that_cannot_be_read_are_none(results: Path) -> None:
    path = results / "a/20260101-000000-aaaa"
    for content in ("[", "{}", "5"):
        (path / "tags.json").write_text(content)
        assert tags_of(path) == []
    (path / "tags.json").write_text('["good", 5]')
    assert tags_of(path) == ["good"]
