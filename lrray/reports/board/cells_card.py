"""The table of cells: filtered, sorted and paged by the server, so only one page is ever sent."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Any

from nicegui import events, ui

from lrray.errors import LrrayError
from lrray.reports.board.index import Query, Row
from lrray.reports.board.live import LiveRun
from lrray.reports.board.runs_page import STATE_SLOT, address_of, key_of
from lrray.text import plain, with_error

_TICK_SLOT = """
<q-checkbox v-model="props.selected" dense :aria-label="LABEL" />
"""
_HINT = "e.g.  state=failed  seed<3  loss<=0.5  gru"


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
                self._filter.props("dense outlined clearable debounce=250").classes("filter")
                self._filter.props("aria-label='filter of cells'")
                self._count = ui.label().classes("muted")
                self._picker = ui.select([], multiple=True, value=[], label="columns")
                self._picker.props("dense outlined options-dense").classes("choice columns")
                self._picker.add_slot("selected", "choose")
                self._picker.on_value_change(self.update)
            self._problem = ui.label().classes("error")
            self._table = ui.table(
                rows=[], columns=[], selection="multiple", pagination=self._pagination(0),
                on_select=lambda event: on_select([row["id"] for row in event.selection]),
            ).props("flat dense binary-state-sort :rows-per-page-options=[25,50,100]")  # fmt: skip
            self._table.add_slot("body-cell-state", STATE_SLOT)
            for slot, label in (
                ("header-selection", "'draw all these cells'"),
                ("body-selection", "'draw cell ' + props.row.id"),
            ):
                self._table.add_slot(slot, _TICK_SLOT.replace("LABEL", label))
            self._table.on("request", self._turn)
            self._table.on("rowClick", lambda event: self._open(event.args[1]["id"]))

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
        self._offer(columns)
        picked = set(self._picker.value or [])
        shown = [_shown(row, columns) for row in rows]
        described = [one for one in _columns(columns, rows) if one["name"] in picked]
        pagination = self._pagination(total)
        self._count.text = "1 cell" if total == 1 else f"{total:,} cells"
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

    def _open(self, cell_id: str) -> None:
        ui.navigate.to(address_of(key_of(self._live.run, self._live.root), cell_id))

    def _pagination(self, total: int) -> dict[str, Any]:
        query = self._query
        return {
            "page": query.offset // query.limit + 1, "rowsPerPage": query.limit,
            "rowsNumber": total, "sortBy": query.sort_by or None, "descending": query.descending,
        }  # fmt: skip

    def _offer(self, columns: list[str]) -> None:
        """Puts the columns to choice; new ones are shown unless they are one of many alike."""
        options = [name for name in columns if not is_error_of(name, columns)]
        known = list(self._picker.options)
        if options == known:
            return
        new = [name for name in options if name not in known and not _is_one_of_many(name)]
        self._picker.set_options(options, value=[*(self._picker.value or []), *new])


def _is_one_of_many(name: str) -> bool:
    """Whether a number is one of a series, as the loss at each position is."""
    return "_by_position" in name


def _columns(names: list[str], rows: list[Row]) -> list[dict[str, Any]]:
    """Quasar's description of the columns; a standard error stands with its mean."""
    numeric = {name for row in rows for name in row if isinstance(row[name], int | float)}
    return [
        {
            "name": name, "field": name, "label": name, "sortable": True,
            "align": "right" if name in numeric else "left",
        }
        for name in names
        if not is_error_of(name, names)
    ]  # fmt: skip


def _shown(row: Row, names: list[str]) -> Row:
    shown = {name: _text(row.get(name)) for name in names if not is_error_of(name, names)}
    for name in shown:
        mean, error = row.get(name), row.get(f"{name}_se")
        if isinstance(mean, int | float) and isinstance(error, int | float):
            shown[name] = with_error(mean, error)
    return shown


def is_error_of(name: str, names: Container[str]) -> bool:
    """Whether a number is the standard error of another one, beside which it is shown."""
    return name.endswith("_se") and name.removesuffix("_se") in names


def _text(value: Any) -> Any:
    if isinstance(value, float):
        return plain(value)
    return value if value is None or isinstance(value, int) else str(value)[:120]
