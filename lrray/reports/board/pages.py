"""The pages of the board: all runs of a folder, and one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException
from fastapi.responses import FileResponse
from nicegui import app, ui

from lrray.reports.board.files import served_file
from lrray.reports.board.frame import page_bar
from lrray.reports.board.live import LiveRun
from lrray.reports.board.run_page import show_run
from lrray.results.run import Run, find_runs

SHOWN_RUNS = 500
"""Runs that the list shows, the newest ones."""

_FIRST_READING_S = 120.0
"""A page may wait this long for the first reading of many cells."""


def add_pages(root: Path) -> None:
    """Adds the pages and files of the results folder ``root``."""
    live: dict[Path, LiveRun] = {}

    async def show(run: Run, alone: bool) -> None:
        await show_run(live.setdefault(run.path, LiveRun(run, root)), alone)

    @ui.page("/", response_timeout=_FIRST_READING_S)
    async def start() -> None:
        runs = find_runs(root)
        if [run.path for run in runs] == [root]:
            await show(runs[0], alone=True)
        else:
            _show_runs(root)

    @ui.page("/run", response_timeout=_FIRST_READING_S)
    async def run(at: str = "") -> None:
        found = {key_of(run, root): run for run in find_runs(root)}
        if at not in found:
            raise HTTPException(404, "no such run")
        await show(found[at], alone=False)

    @app.get("/files/{path:path}")
    def file(path: str) -> FileResponse:
        return served_file(root, path)


def key_of(run: Run, root: Path) -> str:
    """A run's place below the root; how addresses name it."""
    return run.path.relative_to(root).as_posix()


def _show_runs(root: Path) -> None:
    with page_bar(root.name):
        ui.label(str(root))
    with ui.element("div").classes("page"), ui.element("div").classes("card"):
        ui.label("Runs").classes("card-title")
        note = ui.label().classes("muted")
        table = ui.table(
            rows=[], columns=_RUN_COLUMNS, row_key="at", pagination={"rowsPerPage": 25}
        ).props("flat dense")
        table.on("rowClick", lambda event: _open(event.args[1]["at"]))

    def update() -> None:
        runs = sorted(find_runs(root), key=lambda run: run.path.name, reverse=True)
        rows = [_run_row(run, root) for run in runs[:SHOWN_RUNS]]
        if rows != table.rows:
            table.rows = rows
            table.update()
        note.text = _how_many(len(runs))

    update()
    ui.timer(5.0, update)


def _how_many(runs: int) -> str:
    if runs > SHOWN_RUNS:
        return f"the newest {SHOWN_RUNS} of {runs:,}"
    return f"{runs:,} in this folder" if runs else "none yet: they appear here as they begin"


_RUN_COLUMNS = [
    {"name": name, "field": name, "label": label, "align": align, "sortable": True}
    for name, label, align in (
        ("state", "state", "left"), ("study", "study", "left"), ("run", "run", "left"),
        ("kind", "kind", "left"), ("done", "cells done", "right"), ("failed", "failed", "right"),
        ("question", "question", "left"),
    )
]  # fmt: skip


def _run_row(run: Run, root: Path) -> dict[str, Any]:
    # What is known of the whole run: a driver's status counts the cells since it was started.
    summary = run.summary
    known = summary if "done" in summary else run.status
    return {
        "at": key_of(run, root), "state": run.state, "study": run.path.parent.name,
        "run": run.path.name, "kind": run.kind, "done": known.get("done", 0),
        "failed": known.get("failed", 0), "question": run.question,
    }  # fmt: skip


def _open(at: str) -> None:
    ui.navigate.to(f"/run?at={quote(at)}")
