"""The table of cells: filtered, sorted and paged by the server, so only one page is ever sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any

from nicegui import events, ui

from lrray.errors import LrrayError
from lrray.reports.board.files import resolve_inside
from lrray.reports.board.index import Query, Row
from lrray.reports.board.live import LiveRun
from lrray.results.run import read_record
from lrray.text import plain, with_error

_STATE_SLOT = """
<q-td :props="props"><q-badge outline
  :color="{done: 'teal-8', failed: 'deep-orange-9', running: 'blue-8'}[props.value] || 'grey-8'"
  >{{ props.value }}</q-badge></q-td>
"""
_HINT = "e.g.  state=failed  seed<3  loss<=0.5  gru"
_LONGEST_TRACEBACK = 20_000


class CellsCard:
    """All cells of a run, a page at a time.

    Args:
        live: the run.
        on_select: called with the ids of the ticked cells whenever they change.
    """

    def __init__(self, live: LiveRun, on_select: Callable[[list[str]], None]) -> None:
        self._live, self._on_select = live, on_select
        self._query = Query()
        with ui.element("div").classes("card"):
            with ui.row().classes("tools w-full"):
                ui.label("Cells").classes("card-title")
                self._filter = ui.input(
                    placeholder=_HINT, on_change=lambda event: self._ask(text=event.value or "")
                )
                self._filter.props("dense outlined clearable debounce=250").style("width: 360px")
                self._count = ui.label().classes("muted")
            self._problem = ui.label().classes("error")
            self._table = ui.table(
                rows=[], columns=[], selection="multiple", pagination=self._pagination(0),
                on_select=lambda event: on_select([row["id"] for row in event.selection]),
            ).props("flat dense binary-state-sort :rows-per-page-options=[25,50,100]")  # fmt: skip
            self._table.add_slot("body-cell-state", _STATE_SLOT)
            self._table.on("request", self._turn)
            self._table.on("rowClick", lambda event: self._show_detail(event.args[1]["id"]))

    def update(self) -> None:
        """Shows the present rows of the page, if they are other than those shown."""
        try:
            rows, total = self._live.index.select(self._query)
            self._problem.text = ""
        except LrrayError as error:
            self._problem.text = str(error)
            return
        finally:
            self._problem.visible = bool(self._problem.text)
        columns = self._live.index.columns
        shown = [_shown(row, columns) for row in rows]
        described = _columns(columns, rows)
        pagination = self._pagination(total)
        self._count.text = f"{total:,} cells"
        table = self._table
        if (shown, described, pagination) != (table.rows, table.columns, table.pagination):
            table.rows, table.columns, table.pagination = shown, described, pagination
            table.update()

    def _ask(self, **changes: Any) -> None:
        self._query = replace(self._query, **{"offset": 0, **changes})
        self.update()

    def _turn(self, event: events.GenericEventArguments) -> None:
        """Takes the page, order and page size that the table asks for."""
        asked = event.args["pagination"]
        limit = min(100, max(1, int(asked["rowsPerPage"])))
        self._ask(
            offset=(max(1, int(asked["page"])) - 1) * limit,
            limit=limit,
            sort_by=str(asked["sortBy"] or ""),
            descending=bool(asked["descending"]),
        )

    def _pagination(self, total: int) -> dict[str, Any]:
        query = self._query
        return {
            "page": query.offset // query.limit + 1, "rowsPerPage": query.limit,
            "rowsNumber": total, "sortBy": query.sort_by or None, "descending": query.descending,
        }  # fmt: skip

    def _show_detail(self, cell_id: str) -> None:
        with ui.dialog() as dialog, ui.element("div").classes("card detail"):
            ui.label(f"Cell {cell_id}").classes("card-title")
            for title, text in self._details(cell_id):
                with ui.expansion(title, value=title != "settings").classes("w-full"):
                    ui.html(f"<pre>{escape(text)}</pre>", sanitize=False)
        dialog.on("hide", dialog.delete)
        dialog.open()

    def _details(self, cell_id: str) -> list[tuple[str, str]]:
        """Title and text of what there is to read about a cell."""
        folder = self._live.run.path
        path = resolve_inside(folder, f"cells/{cell_id}.json")
        record = read_record(path) if path is not None else None
        if record is None:
            return [("state", str((self._live.index.row(cell_id) or {}).get("state", "gone")))]
        details = [
            (title, json.dumps(part, indent=1, ensure_ascii=False))
            for title, part in (
                ("axes", record.axes),
                ("result", record.result),
                ("settings", record.settings),
            )
            if part
        ]
        traceback = resolve_inside(folder, f"failures/{cell_id}.txt")
        if record.state == "failed" and traceback is not None and traceback.is_file():
            text = traceback.read_text(errors="replace")[-_LONGEST_TRACEBACK:]
            details.insert(0, ("traceback", text))
        if record.reason:
            details.insert(0, ("reason", record.reason))
        return details


def _columns(names: list[str], rows: list[Row]) -> list[dict[str, Any]]:
    """Quasar's description of the columns; a standard error stands with its mean."""
    numeric = {name for row in rows for name in row if isinstance(row[name], int | float)}
    return [
        {
            "name": name, "field": name, "label": name, "sortable": True,
            "align": "right" if name in numeric else "left",
        }
        for name in names
        if not _is_error_of(name, names)
    ]  # fmt: skip


def _shown(row: Row, names: list[str]) -> Row:
    shown = {name: _text(row.get(name)) for name in names if not _is_error_of(name, names)}
    for name in shown:
        mean, error = row.get(name), row.get(f"{name}_se")
        if isinstance(mean, int | float) and isinstance(error, int | float):
            shown[name] = with_error(mean, error)
    return shown


def _is_error_of(name: str, names: list[str]) -> bool:
    return name.endswith("_se") and name.removesuffix("_se") in names


def _text(value: Any) -> Any:
    if isinstance(value, float):
        return plain(value)
    return value if value is None or isinstance(value, int) else str(value)[:120]
