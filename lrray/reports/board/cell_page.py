"""The page of one cell: what it was asked, how it went, and how to run it alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from nicegui import run as background
from nicegui import ui

from lrray.reports.board.cells_card import is_error_of
from lrray.reports.board.curves_card import CurvesCard
from lrray.reports.board.files import resolve_inside
from lrray.reports.board.frame import page_bar
from lrray.reports.board.live import REFRESH_S, LiveRun
from lrray.reports.board.runs_page import address_of
from lrray.results.record import CellRecord
from lrray.results.run import read_record
from lrray.studies.axes import axes_label
from lrray.text import plain, with_error

_LONGEST_TEXT = 20_000
"""Characters of a traceback that are shown: the last ones."""


async def show_cell(live: LiveRun, at: str, cell_id: str) -> None:
    """Builds the page; the curve goes on while the cell runs.

    Args:
        live: the cell's run.
        at: the run's place below the results folder.
        cell_id: whole.
    """
    await background.io_bound(live.refresh)
    record = _record(live, cell_id)
    row = live.index.row(cell_id) or {}
    axes = record.axes if record else {a: row[a] for a in live.index.axes if a in row}
    name = axes_label(axes) or f"cell {cell_id[:8]}"
    with page_bar(name):
        ui.link("all runs", "/")
        ui.link(live.run.name, address_of(at))
        ui.label(name)
    with ui.element("div").classes("page"):
        ui.html(f"<h1 class='question'>{escape(name)}</h1>", sanitize=False)
        state = record.state if record else str(row.get("state", "not begun"))
        with ui.row().classes("facts"):
            ui.label(state).classes(f"fact {state}")
            for fact in (cell_id, record and f"{record.seconds:.1f} s", record and record.host):
                if fact:
                    ui.label(str(fact)).classes("fact")
        if record is not None and record.reason:
            ui.label(record.reason).classes("error")
        curves = CurvesCard(live, only=cell_id)
        with ui.element("div").classes("two"):
            if record is not None and record.result:
                _table("Result", _results(record.result))
            _table("Axes", {name: _text(value) for name, value in axes.items()})
            if record is not None:
                _table("Settings", _flat(record.settings))
        _texts(live, cell_id)
        _again(live, axes)

    async def look_again() -> None:
        await background.io_bound(live.refresh)
        curves.update()

    curves.update()
    ui.timer(REFRESH_S, look_again)


def _record(live: LiveRun, cell_id: str) -> CellRecord | None:
    path = resolve_inside(live.run.path, f"cells/{cell_id}.json")
    return read_record(path) if path is not None else None


def _table(title: str, rows: Mapping[str, str]) -> None:
    body = "".join(
        f"<tr><th scope='row'>{escape(key)}</th><td>{escape(value)}</td></tr>"
        for key, value in rows.items()
    )
    with ui.element("div").classes("card"):
        ui.label(title).classes("card-title")
        ui.html(f"<table class='plain'>{body}</table>", sanitize=False)


def _results(result: Mapping[str, Any]) -> dict[str, str]:
    """Numbers with their errors, the rest as text."""
    shown = {}
    for name, value in result.items():
        error = result.get(f"{name}_se")
        if is_error_of(name, result):
            continue
        pair = isinstance(value, int | float) and isinstance(error, int | float)
        shown[name] = with_error(value, error) if pair else _text(value)
    return shown


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Settings by key path."""
    rows: dict[str, str] = {}
    for key, value in settings.items():
        path = f"{above}{key}"
        if isinstance(value, dict) and value:
            rows |= _flat(value, f"{path}.")
        else:
            rows[path] = _text(value)
    return rows


def _text(value: Any) -> str:
    if isinstance(value, float):
        return plain(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _texts(live: LiveRun, cell_id: str) -> None:
    """Its traceback, and where its files lie."""
    folder = live.run.path
    traceback = resolve_inside(folder, f"failures/{cell_id}.txt")
    if traceback is not None and traceback.is_file():
        text = traceback.read_text(errors="replace")[-_LONGEST_TEXT:]
        with ui.element("div").classes("card"):
            ui.label("Traceback").classes("card-title")
            ui.html(f"<pre>{escape(text)}</pre>", sanitize=False)
    names = {
        "record": f"cells/{cell_id}.json", "curves": f"metrics/{cell_id}.jsonl",
        "checkpoint": f"checkpoints/{cell_id}", "samples": f"samples/{cell_id}.jsonl",
        "weights": f"weights/{cell_id}",
    }  # fmt: skip
    paths = {name: resolve_inside(folder, path) for name, path in names.items()}
    there = {name: str(path) for name, path in paths.items() if path is not None and path.exists()}
    if there:
        _table("Files", there)


def _again(live: LiveRun, axes: Mapping[str, Any]) -> None:
    """The command that runs this cell alone, to be copied."""
    command = _command(live, axes)
    if not command:
        return
    with ui.element("div").classes("card"):
        ui.label("Run it alone").classes("card-title")
        ui.html(f"<pre>{escape(command)}</pre>", sanitize=False)
        ui.button("copy", on_click=lambda: ui.clipboard.write(command)).props("flat dense no-caps")


def _command(live: LiveRun, axes: Mapping[str, Any]) -> str:
    """The run's own command, with each axis held at this cell's value, into a folder apart."""
    words = live.run.provenance.get("command", [])
    grid = live.run.settings.get("grid")
    single = isinstance(grid, dict) and "zip" not in grid and not live.run.settings.get("search")
    if words[:2] != ["lrray", "study"]:  # somebody else's folder: nothing to be copied and run
        return ""
    if not single:  # axes that move together are one setting
        return ""
    fixed = [f"{axis}=[{json.dumps(value, ensure_ascii=False)}]" for axis, value in axes.items()]
    kept = [w for w in map(str, words) if w.partition("=")[0] not in axes and w != "--resume"]
    return shlex.join([*kept, *fixed, "--out", "alone"])
