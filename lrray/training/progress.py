"""What a run shows while it works: a bar on a terminal, TensorBoard files where asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lrray.errors import LrrayError

Report = Callable[[dict[str, Any]], None]


class Display(Protocol):
    """Something that follows a run's reports."""

    def show(self, metrics: dict[str, Any]) -> None:
        """Takes one report."""
        ...

    def close(self) -> None:
        """Ends the display."""
        ...


class ProgressBar:
    """Steps done, loss, excess over the bound, tokens per second, time left."""

    def __init__(self, console: Console, first_step: int, num_steps: int) -> None:
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", completed=first_step, total=num_steps, note="")
        self._seen: dict[str, Any] = {}
        self._progress.start()

    def show(self, metrics: dict[str, Any]) -> None:
        """Moves the bar to the report's step."""
        self._seen |= metrics
        formats = {
            "train_loss_bits": "loss {:.3f}",
            "excess_bits": "excess {:.3f} bits",
            "tokens_per_s": "{:,.0f} tokens/s",
        }
        note = "  ".join(
            text.format(self._seen[name]) for name, text in formats.items() if name in self._seen
        )
        self._progress.update(self._task, completed=metrics["step"], note=note)

    def close(self) -> None:
        """Takes the bar off the terminal."""
        self._progress.stop()


class TensorBoard:
    """Event files with every number of every report.

    Raises:
        LrrayError: tensorboardX, which writes them, is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise LrrayError(
                "tensorboard", "needs the package tensorboardX", fix="pip install tensorboardX"
            ) from None
        self._writer = SummaryWriter(str(path))

    def show(self, metrics: dict[str, Any]) -> None:
        """Writes the report's numbers at its step."""
        for name, value in metrics.items():
            if isinstance(value, int | float) and name != "step":
                self._writer.add_scalar(name, value, metrics["step"])

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


class Displays:
    """The caller's report function and the displays of the first worker, told alike.

    Args:
        report: the caller's; none: nobody listens.
        progress: whether to draw a bar; only where the output is a terminal.
        tensorboard: folder of the event files; none: no such files.
        first_step: steps that an earlier part of the run did.
        num_steps: of the whole run.
    """

    def __init__(
        self,
        report: Report | None,
        progress: bool,
        tensorboard: Path | None,
        first_step: int,
        num_steps: int,
    ) -> None:
        self._report = report
        self._displays: list[Display] = []
        if tensorboard is not None:
            self._displays.append(TensorBoard(tensorboard))
        console = Console()
        if progress and console.is_terminal:
            self._displays.append(ProgressBar(console, first_step, num_steps))

    def __enter__(self) -> Displays:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for display in self._displays:
            display.close()

    def show(self, metrics: dict[str, Any]) -> None:
        """Passes one report on."""
        for display in self._displays:
            display.show(metrics)
        if self._report is not None:
            self._report(metrics)
