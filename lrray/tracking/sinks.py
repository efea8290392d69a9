"""Where a tracked cell's points and result go: W&B and TensorBoard.

Sinks may raise; :mod:`lrray.tracking.follower` keeps that away from the cell.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lrray.config import dump_yaml, numbers_in
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, CellRecord
from lrray.studies.cell import Cell, digest
from lrray.studies.tracking import WandbMode
from lrray.text import short
from lrray.tracking.wandb_files import wait_for_end

if TYPE_CHECKING:
    from lrray.studies.tracking import Wandb


INIT_TIMEOUT_S = 10.0
"""How long W&B may take to answer before a cell is kept offline."""


class Sink(Protocol):
    """Takes one cell's curves and its result."""

    def point(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes one point of the curves."""

    def close(self, record: CellRecord | None) -> None:
        """Takes the finished cell's record, None where it has none, and ends."""


class TensorBoardSink:
    """Event files in ``tensorboard/<id>/``."""

    def __init__(self, cell: Cell, folder: RunFolder) -> None:
        from tensorboardX import SummaryWriter

        place = folder.path / "tensorboard" / cell.id
        # An interrupted attempt's files go: all points are read again from the metrics file.
        shutil.rmtree(place, ignore_errors=True)
        self._writer = SummaryWriter(str(place), write_to_disk=True)
        self._writer.add_text("cell", cell_name(cell))
        self._writer.add_text("settings", f"```yaml\n{dump_yaml(dict(cell.settings))}```")
        self._next = 0

    def point(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds one scalar per number; steps already there are left out."""
        if step < self._next:
            return
        self._next = step + 1
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self, record: CellRecord | None) -> None:
        """Adds the result as ``result/<name>``."""
        for name, value in result_numbers(record).items():
            self._writer.add_scalar(f"result/{name}", value, self._next)
        self._writer.close()


class WandbSink:
    """A W&B run in ``wandb/``, whose id is the same whenever this run's cell is continued.

    Args:
        cell: that is followed.
        folder: of the run.
        settings: project and tags.
        mode: whether to send it now.
        study: the study's file or name; ``experiment_config_path`` in the run's configuration.
    """

    def __init__(
        self, cell: Cell, folder: RunFolder, settings: Wandb, mode: WandbMode, study: str
    ) -> None:
        import wandb

        # Said to the process first: W&B greets on stderr before it looks at a run's settings.
        wandb.setup(wandb.Settings(silent=True))
        try:
            self._run = wandb.init(
                project=settings.project,
                entity=settings.entity,
                mode=mode,
                dir=str(folder.path),
                id=run_id(cell, folder),
                resume="allow",
                # Another run of this process, e.g. the user function's own, is left alone.
                reinit="create_new",
                group=folder.name,
                job_type=cell.kind,
                name=cell_name(cell),
                tags=list(settings.tags),
                config={
                    "cell": dict(cell.axes),
                    "experiment_config_path": study,
                    **cell.settings,
                },
                settings=_quiet_settings(),
            )
        except Exception:
            wandb.teardown()  # W&B's service holds the id of a run that could not begin
            raise
        self._next = int(self._run.step)

    def point(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs one point; steps that a resumed run already has are left out."""
        if step < self._next:
            return
        self._next = step + 1
        # Committed at once: a pending last point would overwrite the summary when it finishes.
        self._run.log(dict(numbers), step=step, commit=True)

    def close(self, record: CellRecord | None) -> None:
        """Writes the result into the run's summary and finishes it."""
        self._run.summary.update(result_numbers(record))
        if record is not None:
            self._run.summary.update({"state": record.state})
        good = record is not None and record.state == DONE
        self._run.finish(exit_code=0 if good else 1)
        wait_for_end(Path(self._run.dir).parent)


def _quiet_settings() -> Any:
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        init_timeout=INIT_TIMEOUT_S,
        # Machine, command line and code stand in provenance.json, where no secret gets in.
        disable_git=True,
        save_code=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )


def run_id(cell: Cell, folder: RunFolder) -> str:
    """W&B's id of a cell in one run of a study."""
    return f"{cell.id}-{digest(folder.name)[:8]}"


def cell_name(cell: Cell) -> str:
    """The cell's axes as a name to read: ``alpha_X=0.01 seeds=0…23``."""
    return " ".join(f"{name}={_shown(value)}" for name, value in cell.axes.items()) or cell.id


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 3:
        return f"{_shown(value[0])}…{_shown(value[-1])}"
    return short(value)


def result_numbers(record: CellRecord | None) -> dict[str, float]:
    """The numbers of a cell's result by key path, and the seconds it took."""
    if record is None:
        return {}
    return {**dict(numbers_in(record.result)), "seconds": record.seconds}
