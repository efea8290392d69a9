"""Whatever other people's folders hold, every reader shows the rest and says what is damaged."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import lrray
from lrray.cli.app import app
from lrray.errors import LrrayError
from lrray.reports.board.cell_page import _command, _flat, _record, _results
from lrray.reports.board.files import figures
from lrray.reports.board.index import Query
from lrray.reports.board.live import LiveRun
from lrray.reports.board.run_page import _note, _numbers, _provenance_rows, track
from lrray.reports.board.runs_page import run_rows
from lrray.reports.report import write_report
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.run import Run, find_runs
from lrray.search.proposals import proposed_cells
from tests.reports.runs import fill, finish, new_run
from tests.safety.damage import damages

DAMAGES = dict(damages())
_LONGEST_S = 60
"""A reader that waits for a pipe waits for ever."""


def lrray_command(*words: str) -> str:
    """What the command prints; one line of refusal is no fault, a traceback is."""
    done = CliRunner().invoke(app, list(words))
    if isinstance(done.exception, LrrayError):
        return str(done.exception)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def show_page(path: Path) -> None:
    """What the board does for its pages of a run."""
    root = path.parents[1]
    run_rows(root)
    for run in find_runs(root):
        live = LiveRun(run, root)
        live.refresh()
        _numbers(live.progress)
        track(live.progress)
        _note(live, live.progress)
        for query in (Query(), Query(sort_by="seed"), Query(text="gru"), Query(sort_by="seconds")):
            rows, _ = live.index.select(query)
        for row in rows:
            record = _record(live, str(row["id"]))
            if record is not None:
                _results(record.result)
                _flat(record.settings)
                _command(live, record.axes)
        for cell_id in live.curves.ids():
            file = live.curves.of(cell_id)
            for name in file.names if file is not None else ():
                file.curve(name)
        for figure in figures(run.path):
            live.file_url(figure)
        _provenance_rows(live, run.provenance)


def look_at(path: Path) -> None:
    """What a notebook asks of a run."""
    run = lrray.load(path)
    assert repr(run)
    assert run._repr_html_()
    run.cells  # noqa: B018
    for ask in (
        lambda: run.curves("loss"), lambda: run.means("loss"), run.best, lambda: run.trials,
        lambda: run.pairs, lambda: run.axis("seed"),
    ):  # fmt: skip
        with suppress(LrrayError):
            ask()


def take_up(path: Path) -> None:
    """What ``--plan`` and ``--resume`` read before anything runs."""
    folder = RunFolder(path)
    KnownCells.of(folder, keep_code=True)
    proposed_cells(path)
    folder.asked_to_stop("driver")
    for file in (path / "cells").glob("*.json"):
        folder.is_running(file.stem)


READERS: dict[str, Callable[[Path], Any]] = {
    "list": lambda path: lrray_command("runs", "list", "--out", str(path.parents[1])),
    "show": lambda path: lrray_command("runs", "show", str(path), "--out", str(path.parents[1])),
    "compare": lambda path: lrray_command(
        "compare", str(path), str(path), "--out", str(path.parents[2] / "compared")
    ),
    "notebook": look_at,
    "board": show_page,
    "resume": take_up,
}


@contextmanager
def in_time() -> Iterator[None]:
    """Ends what waits for ever."""

    def late(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with two settings, two seeds and curves."""
    folder = new_run(tmp_path_factory.mktemp("sound") / "results", "sound")
    finish(folder, len(fill(folder, sizes=(4,), seeds=2)))
    return folder.path


def copy_of(sound: Path, place: Path) -> Path:
    path = place / "results" / "sound" / sound.name
    if path.parent.exists():
        shutil.rmtree(path.parent)
    shutil.copytree(sound, path)
    return path


def files() -> list[str]:
    return list(dict.fromkeys(name.split()[0] for name in DAMAGES))


@pytest.mark.slow
@pytest.mark.parametrize("file", files())
def test_no_reader_falls_over_a_damaged_file(sound: Path, tmp_path: Path, file: str) -> None:
    faults = []
    for name in (name for name in DAMAGES if name.split()[0] == file):
        path = copy_of(sound, tmp_path)
        DAMAGES[name](path)
        for reader, read in READERS.items():  # the last one puts damaged files aside
            try:
                with in_time():
                    read(path)
            except LrrayError as error:
                faults += [f"{reader}: {name}: {error}"] if "\n" in str(error) else []
            except Exception as error:
                faults.append(f"{reader}: {name}: {type(error).__name__}: {error}")
    assert not faults


REPORTED = (
    "CELL brackets", "CELL result number", "CELL axes number", "CELL a pipe", "CURVE step huge",
    "CURVE binary", "status.json running rows", "summary.json mappings", "study.yaml a list",
    "study.yaml search number", "provenance.json git text", "metrics a pipe",
)  # fmt: skip


@pytest.mark.parametrize("name", REPORTED)
def test_a_report_shows_the_rest_and_says_what_is_damaged(
    sound: Path, tmp_path: Path, name: str
) -> None:
    path = copy_of(sound, tmp_path)
    DAMAGES[name](path)
    with in_time():
        page = write_report(path)[0].read_text()
    assert "gru" in page
    if not name.startswith(("CURVE", "metrics")):  # a killed worker's last line is no damage
        assert "Damaged files" in page
        assert Run(path).damage


def test_a_file_of_a_gigabyte_is_not_read(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path)
    (first, *_) = sorted((path / "cells").glob("*.json"))
    os.truncate(first, 1 << 30)
    run = Run(path)
    assert first.stem not in {record.id for record in run.records()}
    assert run.damage == [f"cells/{first.name}: no record of a cell"]


def test_a_run_goes_on_whatever_its_files_hold(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path)
    for name in ("status.json", "provenance.json", "summary.json"):
        (path / name).write_bytes(b"[" * 200_000)
    assert Run(path).state == "finished"
    assert len(list(Run(path).records())) == 4
