"""Tracking: each cell as a W&B run and as TensorBoard files, where a study asks for them.

The driver says in ``tracking.json`` of the run's folder what to track. A worker's cell is then
followed by a thread that reads the cell's curves from its metrics file and its result from its
cell file, and passes them on. So nothing that goes wrong out there reaches the cell: an outage
costs a bounded wait at the cell's end and a line in ``tracking.log``. And because every follower
starts at the first point, a resumed cell continues its run without gaps; points a run already has
are left out by their step.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from lrray.results.curves import CurveFile, Point
from lrray.results.folder import RunFolder
from lrray.studies.cell import Cell
from lrray.studies.tracking import Tracking
from lrray.tracking.sinks import Sink, TensorBoardSink, WandbSink

_Result = TypeVar("_Result")

SETTINGS_FILE, LOG_FILE = "tracking.json", "tracking.log"

POLL_S = 1.0
"""How often a follower looks for new points."""

FINISH_S = 60.0
"""Longest wait for a follower when its cell has ended; what is on disk by then stays there."""


class _Announced(Tracking):
    """What the driver tells the workers."""

    study: str = ""
    """The study as it was given on the command line, a file or a shipped one's name."""


def announce(folder: RunFolder, tracking: Tracking, study: str) -> None:
    """Tells the workers what to track of which study, the driver's ``WANDB_TAGS`` included."""
    if not tracking.is_on:
        (folder.path / SETTINGS_FILE).unlink(missing_ok=True)
        return
    if tracking.wandb is not None:
        given = [tag.strip() for tag in os.environ.get("WANDB_TAGS", "").split(",")]
        tags = dict.fromkeys([*tracking.wandb.tags, *filter(None, given)])
        own = tracking.wandb.model_copy(update={"tags": tuple(tags)})
        tracking = tracking.model_copy(update={"wandb": own})
    told = _Announced(**tracking.model_dump(), study=study)
    folder.write_json(SETTINGS_FILE, told.model_dump(mode="json"))


def closing_lines(folder: RunFolder) -> list[str]:
    """What a user can do with what was tracked, a line each; empty where nothing was."""
    lines = []
    if any((folder.path / "wandb").glob("offline-run-*")):
        runs = folder.path / "wandb" / "offline-run-*"
        lines.append(f"W&B kept offline: upload with 'wandb sync {runs}'")
    if (folder.path / "tensorboard").is_dir():
        lines.append(f"TensorBoard: tensorboard --logdir {folder.path / 'tensorboard'}")
    if (folder.path / LOG_FILE).exists():
        lines.append(f"Tracking had trouble (no cell was harmed): {folder.path / LOG_FILE}")
    return lines


def tracked(run: Callable[[Cell], _Result], folder: RunFolder) -> Callable[[Cell], _Result]:
    """Follows a cell while it runs; does nothing where tracking is off or the cell is done."""

    def run_tracked(cell: Cell) -> _Result:
        tracking = _announced(folder)
        if tracking is None or folder.cell_path(cell.id).exists():
            return run(cell)
        follower = _Follower(cell, folder, tracking)
        follower.start()
        try:
            return run(cell)
        finally:
            follower.finish()

    return run_tracked


def _announced(folder: RunFolder) -> _Announced | None:
    try:
        text = (folder.path / SETTINGS_FILE).read_text()
        return _Announced.model_validate(json.loads(text))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        note(folder, f"{SETTINGS_FILE} cannot be read, nothing is tracked: {error}")
        return None


class _Follower:
    """The thread that passes one cell's points and result on."""

    def __init__(self, cell: Cell, folder: RunFolder, tracking: _Announced) -> None:
        self.cell, self.folder, self.tracking = cell, folder, tracking
        self._sinks: list[Sink] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Waits until all is passed on, at most ``FINISH_S``."""
        self._ended.set()
        self._thread.join(FINISH_S)
        if self._thread.is_alive():
            told = f"not finished {FINISH_S:g} s after the cell; the rest may be missing"
            if self._is_online:
                _mark_out_of_reach(self.folder)
                runs = self.folder.path / "wandb" / f"run-*{self.cell.id}*"
                told += f"; send it with 'wandb sync --no-skip-online {runs}'"
            self._note(told)

    @property
    def _is_online(self) -> bool:
        return self.tracking.wandb is not None and self.tracking.wandb.mode == "online"

    def _follow(self) -> None:
        self._open()
        steps = _Steps(self.folder.path / "metrics" / f"{self.cell.id}.jsonl")
        ended = False
        while not ended:
            ended = self._ended.wait(POLL_S)
            for step, numbers in steps.new(last=ended):
                self._tell(partial(_pass_on, step=step, numbers=numbers))
        record = self.folder.load_cell(self.cell.id)
        self._tell(lambda sink: sink.close(record))

    def _open(self) -> None:
        if self.tracking.tensorboard:
            self._add("tensorboard", lambda: TensorBoardSink(self.cell, self.folder))
        settings = self.tracking.wandb
        if settings is None:
            return
        mode = "offline" if _out_of_reach(self.folder) else settings.mode
        study = self.tracking.study
        if mode == "online":
            if self._add(
                "wandb", lambda: WandbSink(self.cell, self.folder, settings, "online", study)
            ):
                return
            _mark_out_of_reach(self.folder)
            self._note("wandb: this cell is kept offline instead; see 'wandb sync'")
        self._add("wandb", lambda: WandbSink(self.cell, self.folder, settings, "offline", study))

    def _add(self, name: str, make: Callable[[], Sink]) -> bool:
        try:
            self._sinks.append(make())
        except Exception as error:
            self._note(f"{name} could not be opened: {type(error).__name__}: {error}")
            return False
        return True

    def _tell(self, say: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks):
            try:
                say(sink)
            except Exception as error:
                self._sinks.remove(sink)
                self._note(f"{type(sink).__name__} gave up: {type(error).__name__}: {error}")

    def _note(self, message: str) -> None:
        note(self.folder, f"{self.cell.id} {message}")


class _Steps:
    """What a cell logs, step by step; points without a step are counted.

    A step is told once a later one is there, or the cell has ended: what is logged of one step
    one after the other belongs together, and W&B takes no step twice.
    """

    def __init__(self, path: Path) -> None:
        self._file = CurveFile(path)
        self._held: tuple[int, Point] | None = None
        self._count = 0

    def new(self, last: bool) -> Iterator[tuple[int, Point]]:
        """Step and numbers of those that are whole now; of the ``last`` call, of all."""
        for point in self._file.read_new():
            step = int(point.pop("step", self._count))
            self._count += 1
            if self._held is not None and self._held[0] == step:
                self._held[1].update(point)
                continue
            if self._held is not None:
                yield self._held
            self._held = step, point
        if last and self._held is not None:
            yield self._held
            self._held = None


def _pass_on(sink: Sink, step: int, numbers: dict[str, float]) -> None:
    sink.point(step, numbers)


# After a failed connection the run's workers leave W&B alone for a while: otherwise each of a
# thousand short cells would wait for the same dead server.
_RETRY_S = 300.0


def _reach_mark(folder: RunFolder) -> Path:
    return folder.path / "wandb" / "unreachable"


def _out_of_reach(folder: RunFolder) -> bool:
    try:
        return time.time() - _reach_mark(folder).stat().st_mtime < _RETRY_S
    except OSError:
        return False


def _mark_out_of_reach(folder: RunFolder) -> None:
    with suppress(OSError):
        _reach_mark(folder).parent.mkdir(exist_ok=True)
        _reach_mark(folder).touch()


def note(folder: RunFolder, message: str) -> None:
    """Adds a line to ``tracking.log``; the API key, should a message hold it, is blotted out."""
    key = os.environ.get("WANDB_API_KEY", "")
    message = " ".join(message.split())
    if key:
        message = message.replace(key, "***")
    with suppress(OSError), (folder.path / LOG_FILE).open("a") as file:
        file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {message}\n")
