"""What a running study shows: a live panel on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from lrray.execution.gauges import show_counts
from lrray.periodic import Rhythm
from lrray.results.curves import CurveFile
from lrray.results.folder import RunFolder
from lrray.studies.axes import axes_label
from lrray.studies.cell import Cell
from lrray.text import compact, duration

if TYPE_CHECKING:
    from lrray.search.queue import CellSource

LINE_S = 10.0
"""Least seconds between progress lines where the output is not a terminal."""

QUIET_S = 60.0
"""Longest time without such a line."""

STATUS_S = 2.0
"""Least seconds between two writes of ``status.json``."""


class Progress:
    """Shows a run's state while it works; a context manager.

    Args:
        console: where to show it.
        folder: the run's folder, where ``status.json`` tells other programs the same.
    """

    def __init__(self, console: Console, folder: RunFolder | None = None) -> None:
        self.console = console
        self._describe: Callable[[], RenderableType | None] = lambda: None
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._task = self._bar.add_task("looking for what is left", total=None, note="")
        self._live = Live(self._bar, console=console, refresh_per_second=4, transient=True)
        self._source: CellSource | None = None
        self._cells: RunningCells | None = None
        self._detail: RenderableType | None = None
        self._numbers: Sequence[str] = ()
        self._ended_at_line = -1
        self._one_at_a_time = threading.Lock()
        self._ticker = Rhythm(self._tick, LINE_S)
        self._began = self._last_line = time.monotonic()
        self._phase, self._unsaid = "looking for what is left", ""
        self._base = 0
        self._folder = folder
        self._last_status = 0.0

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        self._ticker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ticker.stop()
        self._live.stop()

    def _tick(self) -> None:
        """Cells that take long change no counts: what they are doing is looked up now and then."""
        with self._one_at_a_time:
            if self._source is not None:
                self._show(self._source)

    def phase(
        self,
        name: str,
        describe: Callable[[], RenderableType | None] = lambda: None,
        numbers: Sequence[str] = (),
        at_once: bool = True,
    ) -> None:
        """Names what is being done now.

        Args:
            name: shown beside the bar, whose count starts anew.
            describe: what to show below it; called after every ended trial.
            numbers: of the running cells' curves, to show below that.
            at_once: whether it is being done already, or once a source of cells has begun.
        """
        self._phase, self._describe, self._numbers = name, describe, numbers
        self._base = self._ended()
        self._began = time.monotonic()
        self._unsaid = name
        if at_once or self._source is not None:
            self._say_phase()

    def _say_phase(self) -> None:
        name, self._unsaid = self._unsaid, ""
        self._bar.update(self._task, description=escape(name), completed=0, note="")
        self._bar.tasks[0].total = None  # unknown as yet; update() would leave the old one
        if name and not self.console.is_terminal:
            self.console.print(name, markup=False)

    def waiting(self, what: str) -> None:
        """Says what takes a while before the first cell runs."""
        self._bar.update(self._task, description=escape(what), completed=0, note="")
        if not self.console.is_terminal:
            self.console.print(f"{what} …", markup=False)

    def _ended(self) -> int:
        source = self._source
        return 0 if source is None else source.num_done + source.num_failed

    def begin(self, source: CellSource) -> None:
        """Follows a source of cells from now on."""
        self._source = source
        if self._unsaid:
            self._began = time.monotonic()
            self._say_phase()
        if self._folder is not None:
            self._cells = RunningCells(self._folder, lambda: source.running_cells, self._numbers)
        source.changed = self.update
        self.update()

    def update(self) -> None:
        """Shows the source's present state."""
        with self._one_at_a_time:
            if self._source is not None:
                self._detail = self._describe()
                self._show(self._source)

    def _show(self, source: CellSource) -> None:
        ended = self._ended() - self._base
        total = ended + len(source.running_cells) + source.num_left
        if not total:  # between two phases, or in one without cells
            return
        note = self._note(source, ended, total)
        self._bar.update(self._task, completed=ended, total=total, note=note)
        below = [part for part in (self._detail, self._cells) if part is not None]
        self._live.update(Group(self._bar, *below))
        self._write_status(source, ended, total)
        if not self.console.is_terminal:
            self._print_line(ended, f"{self._phase}: {ended} of {total}", note)

    def _print_line(self, ended: int, counts: str, note: str) -> None:
        since = time.monotonic() - self._last_line
        if since < (LINE_S if ended != self._ended_at_line else QUIET_S):
            return
        self._last_line, self._ended_at_line = time.monotonic(), ended
        line = "  ".join(filter(None, [escape(counts), note]))
        self.console.print(line, markup=True)
        if self._cells is not None:
            for name, numbers in self._cells.lines():
                self.console.print(f"  {name}  {numbers}", soft_wrap=True, markup=False)

    def _write_status(self, source: CellSource, ended: int, total: int) -> None:
        """``ended`` and ``total`` count this phase; ``done`` and ``failed`` the whole run."""
        now = time.time()
        if self._folder is None or (now - self._last_status < STATUS_S and ended < total):
            return
        self._last_status = now
        running = [{"id": cell.id, "axes": dict(cell.axes)} for cell in source.running_cells]
        status = {
            "phase": self._phase, "ended": ended, "total": total, "done": source.num_done,
            "failed": source.num_failed, "running": running, "updated_at": now,
            "left_s": self._left_s(ended, total),
        }  # fmt: skip
        with suppress(OSError):  # a picture of the run, not a part of it
            self._folder.write_json("status.json", status)
        counts = {"done": source.num_done, "failed": source.num_failed, "running": len(running)}
        show_counts(self._folder.name, {**counts, "total": total})

    def _note(self, source: CellSource, ended: int, total: int) -> str:
        notes = []
        if source.num_failed:
            notes.append(f"[red]{source.num_failed} failed[/red]")
        left_s = self._left_s(ended, total)
        if left_s is not None:
            notes.append(f"about {duration(left_s)} left")
        return ", ".join(notes)

    def _left_s(self, ended: int, total: int) -> float | None:
        """Seconds to the end of this phase by its pace so far; None before there is one."""
        if ended < 2:
            return None
        return (time.monotonic() - self._began) / ended * (total - ended)


SHOWN_CELLS = 8
"""Most cells that the terminal shows at once."""


LOOK_S = 2.0
"""Least seconds between two looks at the curves."""


_TAIL_BYTES = 32768


_DEFAULT_NUMBERS = 4


class RunningCells:
    """Shows, whenever it is drawn, where the running cells are.

    Args:
        folder: where their curves lie.
        running: the cells that run now.
        numbers: names to show, in this order; none: the first ones of a cell's points.
    """

    def __init__(
        self,
        folder: RunFolder,
        running: Callable[[], Sequence[Cell]],
        numbers: Sequence[str] = (),
    ) -> None:
        self._folder, self._running, self._numbers = folder, running, numbers
        self._looked, self._lines = -LOOK_S, list[tuple[str, str]]()

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, numbers in self.lines():
            table.add_row(Text(name, style="dim"), Text(numbers))
        return table

    def lines(self) -> list[tuple[str, str]]:
        """Name and newest numbers of every running cell that has drawn any."""
        if time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            told = (line for line in map(self._line, self._running()) if line[1])
            # Of thousands that run no more curves are read than are shown.
            self._lines = list(islice(told, SHOWN_CELLS))
        return self._lines

    def _line(self, cell: Cell) -> tuple[str, str]:
        found = self._newest(cell.id)
        names = [n for n in self._numbers if n in found] or list(found)[:_DEFAULT_NUMBERS]
        return axes_label(cell.axes), "  ".join(
            f"{number} {compact(found[number])}" for number in names
        )

    def _newest(self, cell_id: str) -> Mapping[str, float]:
        """The newest value of everything that the cell has logged of late."""
        file = CurveFile(self._folder.path / "metrics" / f"{cell_id}.jsonl", _TAIL_BYTES)
        newest: dict[str, float] = {}
        for point in file.read_new():
            newest |= {k: v for k, v in point.items() if isinstance(v, int | float)}
        return newest
