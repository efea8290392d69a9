"""The board's rows and curves: read as they come, filtered and sorted."""

from __future__ import annotations

import random
import re

import pytest
from runs import cell_of, fill, fill_many, new_run

from lrray.errors import LrrayError
from lrray.reports.board.curves import Curves
from lrray.reports.board.index import CellIndex, Query
from lrray.reports.board.live import LiveRun
from lrray.reports.board.run_page import track
from lrray.results.curves import thin
from lrray.results.lock import FolderLock
from lrray.results.run import Run, find_runs, newest_runs


@pytest.fixture
def folder(tmp_path):
    return new_run(tmp_path)


def index_of(folder) -> CellIndex:
    index = CellIndex(Run(folder.path))
    index.refresh()
    return index


def ids(index: CellIndex, text: str = "", **query: object) -> list[str]:
    return [row["id"] for row in index.select(Query(text, limit=1000, **query))[0]]


def test_rows_hold_state_axes_and_results(folder):
    cells = fill(folder)
    index = index_of(folder)
    assert index.columns == [
        "state", "settings.model", "settings.hidden_size", "seed", "loss", "steps", "seconds",
        "id", "reason",
    ]  # fmt: skip
    assert index.counts == {"done": 17, "failed": 1, "damaged": 0, "running": 0}
    assert index.row(cells[0].id)["loss"] == pytest.approx(2.24)


def test_new_changed_and_removed_cells_are_noticed_and_others_not_read_again(folder, monkeypatch):
    cells = fill(folder)
    index = index_of(folder)
    read = []
    real = index._row
    monkeypatch.setattr(index, "_row", lambda record: read.append(record.id) or real(record))
    index.refresh()
    assert read == []
    folder.cell_path(cells[0].id).unlink()
    folder.save_cell(cells[-1], {"loss": 9.0}, seconds=1.0)
    late = cell_of("gru", 99, 0)
    folder.save_cell(late, {"loss": 3.0}, seconds=1.0)
    index.refresh()
    assert sorted(read) == sorted([cells[-1].id, late.id])
    assert index.row(cells[0].id) is None
    assert index.counts["done"] == 18
    assert ids(index)[0] == late.id  # the newest first


def test_a_damaged_cell_is_shown_as_damaged_and_left_where_it_is(folder):
    fill(folder)
    path = folder.cell_path("0123456789abcdef")
    path.write_text('{"id": "0123456789abcdef", "sta')
    index = index_of(folder)
    assert index.counts["damaged"] == 1
    assert ids(index, "state=damaged") == ["0123456789abcdef"]
    assert path.exists()
    assert not (folder.path / "quarantine").exists()


def test_running_cells_are_shown_only_while_a_driver_lives(folder):
    cell = cell_of("gru", 4, 0)
    status = {"running": [{"id": cell.id, "axes": dict(cell.axes)}], "total": 1, "ended": 0}
    folder.write_json("status.json", status)
    assert index_of(folder).counts["running"] == 0
    with FolderLock(folder.path):
        index = index_of(folder)
        assert Run(folder.path).state == "running"
        assert ids(index, "state=running gru") == [cell.id]
        folder.save_cell(cell, {"loss": 1.0}, seconds=1.0)
        index.refresh()
        assert index.counts["running"] == 0
    assert Run(folder.path).state == "stopped"


def test_the_bar_of_a_resumed_run_holds_what_was_done_before(folder):
    fill(folder)  # 17 done, 1 failed
    cell = cell_of("gru", 64, 0)
    running = [{"id": cell.id, "axes": dict(cell.axes)}]
    folder.write_json("status.json", {"running": running, "total": 7, "ended": 0})
    with FolderLock(folder.path):
        live = LiveRun(Run(folder.path), folder.path)
        live.refresh()
        progress = live.progress
    assert (progress["done"], progress["running"], progress["waiting"]) == (17, 1, 6)
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", track(progress))]
    assert widths == [68, 4, 4]  # of 25: done, failed, running


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", 18),
        ("state=failed", 1),
        ("state!=failed", 17),
        ("model=GRU", 9),
        ("settings.model=gru hidden_size=8", 3),
        ("hidden_size>=8 seed<1", 4),
        ("seed>0 seed<=1.5", 6),
        ("mamba", 9),
        ("it broke", 1),
        ("nothing-like-this", 0),
    ],
)
def test_filters_keep_the_rows_that_meet_every_word(folder, text, kept):
    fill(folder)
    assert len(ids(index_of(folder), text)) == kept


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("los<2", "los: no such column (fix: did you mean 'loss'?)"),
        ("seed<many", "seed<many: compares with a number, but got 'many' (fix: e.g. seed<3)"),
    ],
)
def test_filters_that_cannot_be_read_say_why(folder, text, message):
    fill(folder)
    with pytest.raises(LrrayError) as error:
        index_of(folder).select(Query(text))
    assert str(error.value) == message


def test_sorting_puts_numbers_in_order_and_missing_values_last(folder):
    cells = fill(folder)
    index = index_of(folder)
    up, down = ids(index, sort_by="loss"), ids(index, sort_by="loss", descending=True)
    assert up[-1] == down[-1] == cells[-1].id
    assert up[:-1] == down[-2::-1]


def test_pages_follow_each_other(folder):
    fill_many(folder, 60)
    index = index_of(folder)
    pages = [index.select(Query("seed<50", "seed", offset=i, limit=25)) for i in (0, 25, 50)]
    assert [len(rows) for rows, _ in pages] == [25, 25, 0]
    assert [row["seed"] for rows, _ in pages for row in rows] == list(range(50))
    assert {total for _, total in pages} == {50}


def test_curves_grow_and_skip_half_written_lines(folder):
    curves = Curves(Run(folder.path))
    assert curves.of("a") is None
    folder.append_metrics("a", {"step": 0, "loss": 3.0})
    folder.append_metrics("a", {"step": 1, "loss": 2.0, "lr": 0.1})
    path = folder.path / "metrics" / "a.jsonl"
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
    file = curves.of("a")
    assert file.names == ["loss", "lr"]
    assert file.curve("loss") == [(0, 3), (1, 2)]
    with path.open("a") as stream:
        stream.write('ss": 1.5}\n')
    assert curves.of("a").curve("loss") == [(0, 3), (1, 2), (2, 1.5)]


def test_steps_that_a_resumed_cell_logs_again_count_once(folder):
    for step, loss in ((0, 3.0), (1, 2.0), (2, 1.0), (1, 2.1), (2, 1.1)):
        folder.append_metrics("a", {"step": step, "loss": loss})
    expected = [(point["step"], point["loss"]) for point in Run(folder.path).metrics("a")]
    assert (
        Curves(Run(folder.path)).of("a").curve("loss") == expected == [(0, 3), (1, 2.1), (2, 1.1)]
    )


@pytest.mark.parametrize("name", ["../study", "../../secret", "/etc/passwd", "link"])
def test_curves_outside_the_run_are_not_read(folder, tmp_path, name):
    (tmp_path / "secret.jsonl").write_text('{"step": 0, "loss": 1}\n')
    folder.append_metrics("a", {"step": 0, "loss": 3.0})
    (folder.path / "metrics" / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    assert Curves(Run(folder.path)).of(name) is None


def test_thinned_curves_keep_ends_and_spikes():
    random.seed(0)
    pairs = [(float(i), random.random()) for i in range(100_000)]
    pairs[77_777] = (77_777.0, 50.0)
    thinned = thin(pairs, most=500)
    assert len(thinned) <= 500
    assert thinned[0] == pairs[0]
    assert thinned[-1] == pairs[-1]
    assert (77_777.0, 50.0) in thinned
    assert thinned == sorted(thinned)


def test_runs_are_found_from_the_root_a_study_or_the_run_itself(tmp_path):
    a, b = new_run(tmp_path, "a"), new_run(tmp_path, "b")
    assert [run.path for run in find_runs(tmp_path)] == [a.path, b.path]
    assert [run.path for run in find_runs(tmp_path / "a")] == [a.path]
    assert [run.path for run in find_runs(b.path)] == [b.path]


def test_a_folder_without_runs_is_refused_where_one_is_needed(tmp_path):
    with pytest.raises(LrrayError, match="holds no run of a study"):
        newest_runs(tmp_path)
    with pytest.raises(LrrayError, match="no such folder"):
        find_runs(tmp_path / "missing")
