"""``lrray report``: one page per run that holds everything, and its figures and tables as files."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from lrray.errors import LrrayError, is_full_disk
from lrray.files import write_whole
from lrray.references import failure
from lrray.reports.content import Picture, Row, Section, Table
from lrray.reports.current import current_report, note_report
from lrray.reports.tables import cell_text, to_csv, to_latex
from lrray.results.folder import RunFolder
from lrray.results.run import Run
from lrray.statistics import Summary
from lrray.studies.kind import Kind, load_kind
from lrray.text import duration

_OPEN_ROWS, _MOST_ROWS = 40, 1000
"""A longer table is folded in the page, and one with more rows is cut and linked there."""

_LONGEST_REASON = 500
"""Characters of what an exception says."""

_CHEAP_CELLS, _CHEAP_BYTES = 1000, 4_000_000
"""Up to these a report takes no more than about three seconds."""


def write_report(path: Path) -> list[Path]:
    """Writes ``report.html`` and the figures (PNG, PDF) and tables (CSV, LaTeX) beside it.

    Nothing is written where they are there, made from the run as it is (:mod:`.current`).

    Returns:
        The page, then the PNG figures.
    """
    module = _module(Run(path))
    there = current_report(path, module)
    if there is not None:
        return there
    run, answer, sections = _content(path)
    files = _write(run, answer, sections)
    written = [file.name for file in files]
    written += [file.with_suffix(".pdf").name for file in files[1:]]
    tables = [table.name for section in sections for table in section.tables]
    written += [f"{name}.{end}" for name in tables for end in ("csv", "tex")]
    note_report(path, module, files, written)
    return files


def _write(run: Run, answer: str, sections: list[Section]) -> list[Path]:
    folder = RunFolder(run.path)
    figures, sections = _drawn(run, sections)
    for section in sections:
        for table in section.tables:
            folder.write_text(f"{table.name}.csv", to_csv(table))
            folder.write_text(f"{table.name}.tex", to_latex(table))
    page = _rendered("report.html", run, answer, sections, provenance=_provenance_rows(run))
    return [folder.write_text("report.html", page), *figures]


def _content(path: Path) -> tuple[Run, str, list[Section]]:
    run = Run(path)
    module = import_module(_module(run))
    told, trouble = _tried(partial(module.answer, run), "")
    nothing: list[Section] = []
    parts, more = _tried(partial(module.sections, run), nothing)
    failed, _ = _tried(partial(_failures, run), nothing)
    missing = list(dict.fromkeys(filter(None, (trouble, more))))
    answer = told or "What came out cannot be told: see Damaged files."
    return run, answer, [*parts, *failed, *_damaged(run, missing)]


_Part = TypeVar("_Part")
_Other = TypeVar("_Other")


def _tried(make: Callable[[], _Part], otherwise: _Other) -> tuple[_Part | _Other, str]:
    """A part of the report, and why it cannot be made of what the folder holds, if it cannot."""
    try:
        return make(), ""
    except Exception as error:  # other people's data may be wrong in any way
        if is_full_disk(error):
            raise
        return otherwise, failure(error)[:_LONGEST_REASON]


def _damaged(run: Run, missing: list[str]) -> list[Section]:
    """What could not be read or shown; none where that is nothing."""
    lines = [*run.damage, *(f"a part of this report: {why}" for why in missing)]
    if not lines:
        return []
    rows: list[Row] = [{"damaged": line} for line in lines]
    text = "These are left out above, as if they were not there."
    return [Section("Damaged files", text, (Table("damaged", "What could not be read", rows),))]


def _module(run: Run) -> str:
    """The module that describes the run's kind; the package that adds the kind may be away."""
    try:
        return load_kind(run.kind).report
    except LrrayError:
        return Kind.report


def write_page(path: Path, folder: Path) -> Path:
    """Writes a run's report as ``README.md``, to be committed, with figures and tables beside it.

    ``notes.md`` in the folder, where there is one, becomes a part of the page: what the numbers do
    not show is for the author to say.
    """
    run, answer, sections = _content(path)
    _write(run, answer, sections)
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        names = [f"{picture.name}.png" for picture in section.pictures]
        for name in [*names, *(f"{table.name}.csv" for table in section.tables)]:
            write_whole(folder / name, (path / name).read_bytes())
    notes = folder / "notes.md"
    page = _rendered(
        "page.md", run, answer, sections,
        title=path.parent.name.replace("_", " ").capitalize(),
        notes=notes.read_text().strip() if notes.exists() else "",
        provenance=_provenance_rows(run, public=True),
    )  # fmt: skip
    target = folder / "README.md"
    write_whole(target, page + "\n")
    return target


def is_cheap(path: Path) -> bool:
    """Whether a report of this run takes so little time that it can be written unasked."""
    cells = [file.lstat().st_size for file in (path / "cells").glob("*.json")]
    curves = sum(file.lstat().st_size for file in (path / "metrics").glob("*.jsonl"))
    few = len(cells) <= _CHEAP_CELLS and sum(cells) <= _CHEAP_BYTES
    return few and curves <= _CHEAP_BYTES


def _drawn(run: Run, sections: list[Section]) -> tuple[list[Path], list[Section]]:
    """The figures' files, and the sections with a line in place of each that cannot be drawn."""
    figures: list[Path] = []
    kept = []
    for section in sections:
        pictures: list[Picture] = []
        text = section.text
        for picture in section.pictures:
            file, why = _tried(partial(_save, picture, run), None)
            if file is None:
                text = f"{text} The figure {picture.name} cannot be drawn: {why}.".strip()
            else:
                figures.append(file)
                pictures.append(picture)
        kept.append(replace(section, text=text, pictures=tuple(pictures)))
    return figures, kept


def _save(picture: Picture, run: Run) -> Path:
    from lrray.reports.style import save

    return save(picture.draw(), run.path, picture.name)


def _failures(run: Run) -> list[Section]:
    rows: list[Row] = [
        {**record.axes, "reason": record.reason, "cell": record.id}
        for record in run.wanted_records()
        if record.state == "failed"
    ]
    if not rows:
        return []
    text = "These cells failed for good; the tracebacks are in the folder failures/."
    return [Section("Failed cells", text, (Table("failed", "Cells that failed", rows),))]


def _rendered(template: str, run: Run, answer: str, sections: list[Section], **more: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrray.reports", "templates"),
        autoescape=template.endswith(".html"), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"cell": cell_text, "md": lambda text: str(text).replace("|", "\\|")}
    return environment.get_template(template).render(
        run=run, state=run.state, answer=answer, sections=sections,
        open_rows=_OPEN_ROWS, most_rows=_MOST_ROWS,
        written=time.strftime("%Y-%m-%d %H:%M %z"),
        inline=lambda picture: _inline(run.path / f"{picture.name}.png"),
        is_measured=lambda value: isinstance(value, Summary), **more,
    )  # fmt: skip


def _inline(figure: Path) -> tuple[str, int]:
    """A figure's ``src``, and its width in CSS pixels (96 an inch)."""
    from lrray.reports.style import DPI

    content = figure.read_bytes()
    pixels = int.from_bytes(content[16:20])  # the PNG header's first field
    return f"data:image/png;base64,{base64.b64encode(content).decode()}", round(pixels * 96 / DPI)


def _provenance_rows(run: Run, public: bool = False) -> dict[str, str]:
    """Where a run comes from, in words; for all to read without the name of the machine."""
    made, summary = run.provenance, run.summary
    git, machine = made.get("git") or {}, dict(made.get("machine") or {})
    if public:
        machine = {name: machine[name] for name in ("processor", "cores") if name in machine}
    versions: dict[str, Any] = made.get("versions") or {}
    revision = str(git.get("revision", ""))
    rows = {
        "run": run.name,
        "kind": run.kind,
        "command": " ".join(map(str, made.get("command") or [])),
        "started": str(made.get("started_at", "")),
        "took": _seconds(summary, "wall_seconds", "in the command that ended the run"),
        "work": _seconds(summary, "cell_seconds", "in cells, all attempts together"),
        "revision": revision + (" with uncommitted changes" if git.get("changed") else ""),
        "machine": ", ".join(f"{name} {value}" for name, value in machine.items()),
        "Python": str(made.get("python", "")),
        "packages": ", ".join(f"{name} {number}" for name, number in versions.items() if number),
    }
    return {name: text for name, text in rows.items() if text}


def _seconds(summary: dict[str, Any], name: str, where: str) -> str:
    return f"{duration(summary[name])} {where}" if name in summary else ""
