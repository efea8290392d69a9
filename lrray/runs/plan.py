"""What a study would do, how long that takes and what it costs; nothing is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrray.gssm.checks import default_threads
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.record import DONE, CellRecord
from lrray.runs.superseded import WOULD_RUN_AGAIN, codes_of, lines_about
from lrray.runs.throughput import Estimate, device_here, estimate, read
from lrray.search.objective import objective
from lrray.search.program import Plan, load_program
from lrray.studies.cell import Cell, digest, make_cell
from lrray.studies.code import read_code_anew
from lrray.studies.grid import GridPoint
from lrray.studies.kind import load_kind
from lrray.studies.load import LoadedStudy
from lrray.studies.resources import Resources
from lrray.studies.schema import CellStudy
from lrray.studies.work import Work
from lrray.text import duration


def show_plan(
    study: LoadedStudy, earlier: RunFolder | None, console: Console, keep_code: bool = False
) -> None:
    """Prints the plan.

    Args:
        study: what would be run.
        earlier: a run that ``--resume`` would continue.
        console: to print on.
        keep_code: whether that keeps the results of other code.
    """
    read_code_anew()
    known = KnownCells.of(earlier, keep_code)
    plan = load_program(study.kind).plan(study.points, earlier, known)
    first = study.points[0].study
    table = Table("plan", "", show_header=False, box=None)
    table.add_row("question", Text(first.question))
    for tuned in study.tuned:
        table.add_row(tuned.key, Text(tuned.in_words()))
    for key, value in plan.rows.items():
        table.add_row(key, str(value))
    resources: Resources = first.resources
    gpus, cpus = resources.gpu * resources.workers, resources.cpu * resources.workers
    table.add_row("each cell takes", f"{cpus:g} CPU, {gpus:g} GPU")
    if plan.cell_seconds is None:
        table.add_row("estimated time", "unknown until a first cell of this study has run")
    else:
        _add_times(table, plan.cell_seconds, resources)
        table.add_row("estimated from", plan.source)
    console.print(table)
    if earlier is not None:
        codes = codes_of(study.points)
        for line in lines_about(known.superseded_records, earlier, codes, WOULD_RUN_AGAIN):
            console.print(line, soft_wrap=True)


def _add_times(table: Table, cell_seconds: float, resources: Resources) -> None:
    core_seconds = cell_seconds * resources.cpu * resources.workers
    table.add_row("work", f"{duration(core_seconds)} of one core")
    gpus = resources.gpu * resources.workers
    if not gpus:
        # Starting Ray and drawing figures take about ten seconds whatever the study.
        cores, most = default_threads(), resources.max_concurrent
        busy = min(cores, resources.cpu * resources.workers * most) if most else cores
        here = f"about {duration(10 + core_seconds / busy)} on {cores} cores"
        at_once = f", {most} {'cell' if most == 1 else 'cells'} at a time" if most else ""
        table.add_row("estimated time here", here + at_once)
        return
    table.add_row("estimated time", f"about {duration(cell_seconds)} if one cell runs at a time")
    hours = cell_seconds * gpus / 3600
    table.add_row("GPU-hours", f"{hours:.1f}")
    if resources.price_per_gpu_hour is not None:
        table.add_row("cost", f"{hours * resources.price_per_gpu_hour:.2f}")


def plan(points: Sequence[GridPoint], earlier: RunFolder | None, known: KnownCells) -> Plan:
    """What a run would do, and how long, from measured cells of an earlier run if there are any."""
    study: CellStudy = points[0].study
    records = [record for record in known.records if record.state == DONE]
    rows: dict[str, Any] = {"grid points": len(points)}
    if study.search is None:
        cells = [known.adopt(make_cell(point.study, point.axes)) for point in points]
        done = {record.id for record in records}
        counts = {"cells": len(cells), "done already": sum(cell.id in done for cell in cells)}
        records = _alike(records, cells)
    else:
        counts = _trials(points, earlier, known)
    in_all, done_already = counts.values()
    rows |= counts
    seconds = [record.seconds for record in records]
    measured = None if seconds or not study.resources.gpu else _on_measured_device(points)
    if seconds:
        mean, source = sum(seconds) / len(seconds), f"{len(seconds)} cells of an earlier run"
    elif measured is not None:
        mean, source = measured.seconds / len(points), measured.source
    elif study.resources.cell_minutes is not None:
        mean, source = 60 * study.resources.cell_minutes, "cell_minutes in the study"
    else:
        return Plan(rows)
    return Plan(rows, (in_all - done_already) * mean, source)


def _on_measured_device(points: Sequence[GridPoint]) -> Estimate | None:
    """What a cell at every point takes in all, where the kind tells its work and a device is known.

    Points of one model and length have one work: a model is built to count it.
    """
    work, device = load_kind(points[0].study.kind).work, device_here(read())
    if work is None or device is None:
        return None
    found: dict[str, Work] = {}
    works = []
    for point in points:
        settings = point.study.cell_settings()
        key = digest([settings["model"], settings["train"]])
        if key not in found:
            found[key] = work(settings)
        works.append(found[key])
    return estimate(device, works)


def _trials(
    points: Sequence[GridPoint], earlier: RunFolder | None, known: KnownCells
) -> dict[str, int]:
    """Trials of the searches at all grid points, and how many of them have ended."""
    from lrray.search.memory import Searches  # and Optuna, which a plan of a grid does without
    from lrray.search.samplers import num_trials

    searches = None if earlier is None else Searches(earlier, known)
    in_all = done = 0
    for point in points:
        space, asked = point.study.search_space.to_optuna(), objective(point.study, point.axes)
        wanted = num_trials(point.study.search, space)
        in_all += wanted
        if searches is not None:
            ended = searches.recall(point.label or "search", space, asked.cell).ended
            done += min(wanted, len(ended))
    return {"trials": in_all, "done already": done}


def _alike(records: list[CellRecord], cells: Sequence[Cell]) -> list[CellRecord]:
    """Records that differ from the cells only where these differ from one another, or in an axis.

    A cell of another scale says nothing about how long these take.
    """
    fixed = _leaves(cells[0].settings)
    for cell in cells:
        own = _leaves(cell.settings)
        fixed = {p: v for p, v in fixed.items() if p not in cell.axes and own.get(p) == v}
    return [record for record in records if fixed.items() <= _leaves(record.settings).items()]


def _leaves(settings: Any, path: str = "") -> dict[str, Any]:
    """Key path and value of everything in plain data."""
    if not isinstance(settings, Mapping | list):
        return {path: settings}
    pairs = settings.items() if isinstance(settings, Mapping) else enumerate(settings)
    found: dict[str, Any] = {}
    for key, value in pairs:
        found |= _leaves(value, f"{path}.{key}" if path else str(key))
    return found
