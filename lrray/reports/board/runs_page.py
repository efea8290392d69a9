"""The page of all runs in a folder: those that work first, then the newest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nicegui import run as background
from nicegui import ui

from lrray.errors import LrrayError
from lrray.reports.board.filters import parse_filter
from lrray.reports.board.frame import page_bar
from lrray.results.run import Run, find_runs
from lrray.text import duration, short

SHOWN_RUNS = 500
"""Runs that the list shows: the running ones, then the newest."""

_REFRESH_S = 5.0
_HINT = "e.g.  state=running  failed>0  latents"
_COLUMNS = (
    ("state", "state", "left"), ("study", "study", "left"), ("progress", "cells done", "left"),
    ("failed", "failed", "right"), ("started", "started", "left"), ("left", "time left", "right"),
    ("best", "best", "left"), ("question", "question", "left"), ("kind", "kind", "left"),
    ("run", "run", "left"),
)  # fmt: skip
STATE_SLOT = """
<q-td :props="props"><span :class="'fact ' + props.value">{{ props.value }}</span></q-td>
"""
_PROGRESS_SLOT = """
<q-td :props="props"><div class="thin-track" role="img" :aria-label="props.row.counts">
  <div class="done" :style="{width: props.row.share + '%'}"></div></div>
  <span class="muted">{{ props.row.counts }}</span></q-td>
"""
_STUDY_SLOT = """
<q-td :props="props"><a :href="props.row.href" @click.stop>{{ props.value }}</a></q-td>
"""


def key_of(run: Run, root: Path) -> str:
    """A run's place below the root; how addresses name it."""
    return run.path.relative_to(root).as_posix()


def address_of(at: str, cell: str = "") -> str:
    """The address of a run's page, or of one of its cells'."""
    return f"/cell?at={quote(at)}&cell={quote(cell)}" if cell else f"/run?at={quote(at)}"


async def show_runs(root: Path) -> None:
    """Builds the page and keeps it up to date while it is open."""
    found = await background.io_bound(run_rows, root) or []
    with page_bar(root.name):
        ui.label(str(root))
    with ui.element("div").classes("page"), ui.element("div").classes("card"):
        with ui.row().classes("tools w-full"):
            ui.html("<h1 class='card-title'>Runs</h1>", sanitize=False)
            words = ui.input(placeholder=_HINT, on_change=lambda: update()).classes("filter")
            words.props("dense outlined clearable debounce=250 aria-label='filter of runs'")
            note = ui.label().classes("muted")
        problem = ui.label().classes("error")
        table = ui.table(
            rows=[], columns=[_column(*column) for column in _COLUMNS], row_key="at",
            pagination={"rowsPerPage": 25},
        ).props("flat dense binary-state-sort")  # fmt: skip
        for name, slot in (
            ("state", STATE_SLOT), ("progress", _PROGRESS_SLOT), ("study", _STUDY_SLOT),
        ):  # fmt: skip
            table.add_slot(f"body-cell-{name}", slot)
        table.on("rowClick", lambda event: ui.navigate.to(address_of(event.args[1]["at"])))
    prefix = ui.context.client.request.scope.get("root_path", "")

    def update() -> None:
        kept: list[dict[str, Any]] = []
        problem.text = ""
        try:
            holds = parse_filter(words.value or "", [name for name, _, _ in _COLUMNS])
            kept = [row for row in found if holds(row)]
        except LrrayError as error:
            problem.text = str(error)
        problem.visible = bool(problem.text)
        note.text = _how_many(len(kept), len(found))
        shown = [row | {"href": prefix + address_of(row["at"])} for row in kept[:SHOWN_RUNS]]
        if shown != table.rows:
            table.rows = shown
            table.update()

    async def look_again() -> None:
        found[:] = await background.io_bound(run_rows, root) or []
        update()

    update()
    ui.timer(_REFRESH_S, look_again, immediate=False)


def run_rows(root: Path) -> list[dict[str, Any]]:
    """A row per run: the running ones first, then from the newest to the oldest."""
    runs = sorted(find_runs(root), key=lambda run: run.path.name, reverse=True)
    rows = [_row(run, key_of(run, root)) for run in runs]
    return sorted(rows, key=lambda row: row["state"] != "running")


def _row(run: Run, at: str) -> dict[str, Any]:
    """What is known of a run without opening its cells; what is to be sorted is text or number."""
    # What is known of the whole run: a driver's status counts the cells since it was started.
    summary, status, state = run.summary, run.status, run.state
    known = summary if "done" in summary else status
    done, failed = (max(0, known.get(name, 0)) for name in ("done", "failed"))
    ended = done + failed
    total = max(ended, 0 if state == "finished" else status.get("total", 0))
    left_s = status.get("left_s") if state == "running" else None
    return {
        "at": at, "state": state, "study": run.path.parent.name, "run": run.path.name,
        "kind": run.kind, "progress": done,
        "counts": f"{done:,}" + (f" of {total:,}" if total > ended else ""),
        "share": round(100 * done / total, 1) if total else 0.0, "failed": failed,
        "started": _started(run.path.name), "left": "" if left_s is None else duration(left_s),
        "best": _best(summary), "question": run.question,
    }  # fmt: skip


def _started(name: str) -> str:
    """``2026-11-22 12:10`` of a run named ``20261122-121003-81dc``."""
    try:
        began = datetime.strptime(name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return began.strftime("%Y-%m-%d %H:%M")


def _best(summary: dict[str, Any]) -> str:
    """The best trial of a search's first condition in a few words; empty where there is none."""
    best = summary.get("best", [])
    if not best or "value" not in best[0]:
        return ""
    more = f" (1 of {len(best)})" if len(best) > 1 else ""
    return f"{best[0].get('metric')} {short(best[0]['value'])}{more}"


def _column(name: str, label: str, align: str) -> dict[str, Any]:
    return {"name": name, "field": name, "label": label, "align": align, "sortable": True}


def _how_many(kept: int, runs: int) -> str:
    if not runs:
        return "none yet: they appear here as they begin"
    shown = f"the first {SHOWN_RUNS} of {kept:,}" if kept > SHOWN_RUNS else f"{kept:,}"
    return f"{shown} of {runs:,} in this folder" if kept < runs else f"{shown} in this folder"
