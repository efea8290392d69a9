"""The page of one run: what is asked, how far it is, what came out."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from nicegui import run as background
from nicegui import ui

from lrray.config import dump_yaml
from lrray.reports.board.cells_card import CellsCard
from lrray.reports.board.curves_card import CurvesCard
from lrray.reports.board.files import figures, is_own_file
from lrray.reports.board.frame import page_bar
from lrray.reports.board.live import REFRESH_S, LiveRun
from lrray.results.record import STOPPED
from lrray.studies.axes import axes_text

_TABLES = ("report.html", "cells.csv", "trials.csv", "pairs.yaml", "summary.json")


async def show_run(live: LiveRun, alone: bool) -> None:
    """Builds the page and keeps it up to date while it is open.

    Args:
        live: the run.
        alone: whether it is the only one, so that there is no list of runs to return to.
    """
    await background.io_bound(live.refresh)
    with page_bar(live.run.name):
        if not alone:
            ui.link("all runs", "/")
        ui.label(live.run.name)
        seen = ui.label().classes("live")
    with ui.element("div").classes("page"):
        updates = [_header(live), _progress(live)]
        with ui.element("div").classes("two"):
            curves = CurvesCard(live)
            updates.append(_figures(live))
        cells = CellsCard(live, on_select=curves.choose)
        _provenance(live)
    updates += [curves.update, cells.update]

    def update() -> None:
        for renew in updates:
            renew()
        seen.text = "live" if live.state == "running" else "read-only"

    async def look_again() -> None:
        await background.io_bound(live.refresh)
        update()

    update()
    ui.timer(REFRESH_S, look_again)


def _header(live: LiveRun) -> Callable[[], None]:
    run, made = live.run, live.run.provenance
    ui.html(f"<h1 class='question'>{escape(run.question)}</h1>", sanitize=False)
    with ui.row().classes("facts"):
        state = ui.label().classes("fact")
        git = made.get("git") or {}
        for fact in (
            run.kind,
            made.get("started_at", ""),
            (made.get("machine") or {}).get("host", ""),
            f"revision {git['revision'][:10]}{' + changes' * bool(git.get('changed'))}"
            if git.get("revision")
            else "",
        ):
            if fact:
                ui.label(str(fact)).classes("fact")
    for line in run.damage:
        ui.label(f"Damaged: {line}").classes("error")
    if run.hypothesis:
        ui.label(f"Hypothesis: {run.hypothesis}").classes("hypothesis")

    def update() -> None:
        state.text = live.state
        state.classes(add=live.state, remove="running finished stopped")

    return update


def _progress(live: LiveRun) -> Callable[[], None]:
    with ui.element("div").classes("card"):
        numbers = ui.html(sanitize=False)
        bar = ui.html(sanitize=False)
        note = ui.label().classes("muted")

    def update() -> None:
        progress = live.progress
        numbers.content = _numbers(progress)
        bar.content = track(progress)
        note.text = _note(live, progress)
        note.visible = bool(note.text)

    return update


def _numbers(progress: dict[str, Any]) -> str:
    shown = [("cells done", progress["done"], ""), ("running", progress["running"], "")]
    shown.append(("failed", progress["failed"], " bad" if progress["failed"] else ""))
    if progress["damaged"]:
        shown.append(("damaged files", progress["damaged"], " bad"))
    if progress["waiting"] is not None:
        shown.append(("waiting", progress["waiting"], ""))
    return "<div class='numbers'>" + "".join(
        f"<div class='number{bad}'><span class='value'>{value:,}</span>"
        f"<span class='label'>{label}</span></div>"
        for label, value, bad in shown
    ) + "</div>"  # fmt: skip


def track(progress: dict[str, Any]) -> str:
    """The progress bar, as HTML."""
    failed, running = progress["failed"], progress["running"]
    done = progress["done"] + progress.get(STOPPED, 0)
    total = done + failed + running + (progress["waiting"] or 0)
    parts = (("done", done), ("failed", failed), ("now", running))
    return "<div class='track'>" + "".join(
        f"<div class='{name}' style='width:{100 * count / max(1, total):.2f}%'></div>"
        for name, count in parts
    ) + "</div>"  # fmt: skip


def _note(live: LiveRun, progress: dict[str, Any]) -> str:
    if live.state == "stopped":
        return "Stopped before its end; the study command with --resume continues it."
    now = [
        axes_text(cell.get("axes") or {})
        for cell in live.status.get("running", [])[:4]
        if isinstance(cell, dict)
    ]
    phase = progress["phase"]
    return f"{phase}: {' · '.join(now)}" if phase and any(now) else phase


def _figures(live: LiveRun) -> Callable[[], None]:
    with ui.element("div").classes("card") as card:
        ui.label("Figures").classes("card-title")
        choice = ui.toggle([]).props("dense no-caps unelevated size=sm")
        image = ui.element("img").classes("figure")

    def update() -> None:
        found = {path.stem: path for path in figures(live.run.path)}
        card.visible = bool(found)
        if not found:
            return
        if choice.options != list(found):
            chosen = choice.value if choice.value in found else next(iter(found))
            choice.set_options(list(found), value=chosen)
        choice.visible = len(found) > 1
        image.props["src"] = _absolute(live.file_url(found[str(choice.value)]))
        image.props["alt"] = str(choice.value)

    choice.on_value_change(lambda: update())
    return update


def _absolute(address: str) -> str:
    """An address for an element that NiceGUI gives no prefix: below the token, in ``run`` too."""
    prefix = ui.context.client.request.scope.get("root_path", "")
    return f"{prefix}{address}"


def _provenance(live: LiveRun) -> None:
    made = live.run.provenance
    with ui.element("div").classes("card"):
        ui.label("Where it comes from").classes("card-title")
        with ui.element("div").classes("pairs"):
            for key, value in _provenance_rows(live, made).items():
                ui.label(key).classes("key")
                ui.label(value).classes("text")
        with ui.row().classes("tools"):
            for name in _TABLES:
                if is_own_file(live.run.path, name):
                    address = live.file_url(live.run.path / name)
                    ui.link(name, address, new_tab=True).classes("fact")
        with ui.expansion("Resolved study file").classes("w-full"):
            ui.html(f"<pre>{escape(dump_yaml(live.run.settings))}</pre>", sanitize=False)


def _provenance_rows(live: LiveRun, made: dict[str, Any]) -> dict[str, str]:
    machine, versions = made.get("machine") or {}, made.get("versions") or {}
    rows = {
        "folder": str(live.run.path),
        "command": " ".join(map(str, made.get("command") or [])),
        "machine": ", ".join(str(v) for v in machine.values()),
        "Python": str(made.get("python", "")),
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
    }
    return {key: value for key, value in rows.items() if value}
