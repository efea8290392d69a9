"""What is said of finished cells that came from other code than the study has now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from lrray.results.code_copy import changed_modules, copied_files, differences
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.record import CellRecord
from lrray.search.program import Phase
from lrray.studies.cell import user_code_in
from lrray.studies.code import Module, UserCode, user_code_at_start
from lrray.studies.grid import GridPoint
from lrray.studies.kind import load_kind
from lrray.text import duration

DIFF = "code.diff"

RUN_AGAIN = "They run again; with --keep-code they would be kept."
WOULD_RUN_AGAIN = "With --resume they run again; with --resume --keep-code they are kept."


def codes_of(points: Iterable[GridPoint]) -> list[UserCode]:
    """The user's modules at the points of a study, each set of them once."""
    names = dict.fromkeys(point.study.user_modules() for point in points)
    return [code for code in map(user_code_at_start, names) if code.modules]


def told(
    phases: Iterator[Phase],
    known: KnownCells,
    folder: RunFolder,
    codes: Sequence[UserCode],
    say: Callable[[str], None],
) -> Iterator[Phase]:
    """The phases; before each is said which of its finished cells do not count."""
    so_far: set[str] = set()
    for phase in phases:
        new = [record for record in known.superseded_records if record.id not in so_far]
        so_far |= {record.id for record in new}
        for line in lines_about(new, folder, codes, RUN_AGAIN):
            say(line)
        yield phase


def lines_about(
    records: Sequence[CellRecord], folder: RunFolder, codes: Sequence[UserCode], outlook: str
) -> list[str]:
    """How many cells came from other code, what has changed, and what will happen.

    Args:
        records: of the cells.
        folder: of their run; the difference is written there.
        codes: the user's modules as they are.
        outlook: the last line.
    """
    if not records:
        return []
    cells = "1 finished cell" if len(records) == 1 else f"{len(records)} finished cells"
    newest = max(records, key=lambda record: record.finished_at)
    return [f"{cells} came from other code ({_what_changed(newest, folder, codes)})", outlook]


def _what_changed(record: CellRecord, folder: RunFolder, codes: Sequence[UserCode]) -> str:
    """In words, what differs from the code of a record; names the file with the difference."""
    now, digest = _joined(codes), user_code_in(record.code)
    version = load_kind(record.kind).results_version
    if not record.code.startswith("results "):
        files = ", ".join(module.file.name for module in now.modules)
        kept = f"; it kept no copy of {files}" if files else ""
        return f"results 1 of lrray 0.2.0, which gives results {version} now{kept}"
    if record.code.split()[1] != str(version):
        return f"results {record.code.split()[1]} of lrray, which gives results {version} now"
    if digest is None:
        return "of an installed package"
    old = copied_files(folder.path, digest)
    if not old:
        return "of which this run keeps no copy"
    changed = [_when(module) for module in changed_modules(old, now)]
    changed += [f"{name} is gone" for name in sorted(old.keys() - now.names)]
    words = ", ".join(changed)
    with suppress(OSError):  # a plan may look at a folder that it cannot write
        words += f"; difference: {folder.write_text(DIFF, differences(old, now))}"
    return words


def _joined(codes: Sequence[UserCode]) -> UserCode:
    modules = {module.name: module for code in codes for module in code.modules}
    return UserCode(tuple(modules[name] for name in sorted(modules)))


def _when(module: Module) -> str:
    """``opt3.py changed 12 min 05 s ago``."""
    try:
        ago = duration(max(0.0, time.time() - module.file.stat().st_mtime))
    except OSError:
        return f"{module.file.name} changed"
    return f"{module.file.name} changed {ago} ago"
