"""The pages of the board: all runs of a folder, and one run."""

from __future__ import annotations

from pathlib import Path

from fastapi import HTTPException
from fastapi.responses import FileResponse
from nicegui import app, ui

from lrray.reports.board.cell_page import show_cell
from lrray.reports.board.files import served_file
from lrray.reports.board.live import LiveRun
from lrray.reports.board.run_page import show_run
from lrray.reports.board.runs_page import key_of, show_runs
from lrray.results.run import Run, find_runs

_FIRST_READING_S = 120.0
"""A page may wait this long for the first reading of many cells."""


def add_pages(root: Path) -> None:
    """Adds the pages and files of the results folder ``root``."""
    live: dict[Path, LiveRun] = {}

    def live_run(run: Run) -> LiveRun:
        if run.path not in live:
            live[run.path] = LiveRun(run, root)
        return live[run.path]

    def named(at: str) -> LiveRun:
        found = {key_of(run, root): run for run in find_runs(root)}
        if at not in found:
            raise HTTPException(404, "no such run")
        return live_run(found[at])

    @ui.page("/", response_timeout=_FIRST_READING_S)
    async def start() -> None:
        runs = find_runs(root)
        if [run.path for run in runs] == [root]:
            await show_run(live_run(runs[0]), alone=True)
        else:
            await show_runs(root)

    @ui.page("/run", response_timeout=_FIRST_READING_S)
    async def run(at: str = "") -> None:
        await show_run(named(at), alone=False)

    @ui.page("/cell", response_timeout=_FIRST_READING_S)
    async def one_cell(at: str = "", cell: str = "") -> None:
        await show_cell(named(at), at, cell)

    @app.get("/files/{path:path}")
    def file(path: str) -> FileResponse:
        return served_file(root, path)
