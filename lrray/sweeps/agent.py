"""``python -m lrray.sweeps.agent STUDY key=value …``: one trial of a W&B sweep.

``wandb agent`` calls it with the parameters that the sweep proposes. It measures the study's
objective there, logs curves and numbers to the run that the agent opened, and prints them. Without
an agent, e.g. with WANDB_MODE=offline, the run is its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lrray.errors import LrrayError
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, CellRecord
from lrray.scratch import scratch_folder
from lrray.studies.cell import Cell
from lrray.studies.load import read_study
from lrray.sweeps.convert import SearchedStudy, read_searched
from lrray.sweeps.space import read_value


def evaluate(name: str, words: list[str]) -> dict[str, float]:
    """Measures a study's objective at given parameters and logs it to W&B.

    Args:
        name: the study.
        words: ``key=value``: the searched parameters, and overrides of other settings.

    Returns:
        The numbers logged.

    Raises:
        LrrayError: a word is wrong, a parameter missing, or the cell failed.
    """
    import wandb

    source, parameters = _read(name, words)
    cell = source.objective.cell(parameters)
    run = wandb.init()
    # Under an agent the parameters are there already, and locked.
    config = {**parameters, "study": source.loaded.name, "resolved": dict(cell.settings)}
    run.config.update({key: config[key] for key in config if key not in run.config})
    record = _measure(cell, _limits(source.study), lambda point: run.log(dict(point)))
    numbers: dict[str, float] = {}
    if record.state == DONE:
        score = source.objective.score(record.result)
        numbers = {**score.numbers, "seconds": record.seconds}
        run.log(numbers)
    run.finish(exit_code=0 if numbers else 1)
    if not numbers:
        raise LrrayError("the cell failed", record.reason)
    return numbers


def _measure(cell: Cell, limits: Limits, log: Callable[[Mapping[str, float]], None]) -> CellRecord:
    """Runs a cell in a folder that is thrown away; W&B keeps what it gave."""
    with scratch_folder("sweep") as place:
        folder = RunFolder(place)
        (folder.path / "cells").mkdir()
        return run_durably(cell, folder, limits, tell=log)


def _read(name: str, words: list[str]) -> tuple[SearchedStudy, dict[str, Any]]:
    """Tells the searched parameters from overrides of other settings."""
    searched = read_study(name)[0].get("search_space")
    names = set(searched) if isinstance(searched, Mapping) else set()
    given = {word.partition("=")[0]: word.partition("=")[2] for word in words}
    source = read_searched(name, [word for word in words if word.partition("=")[0] not in names])
    parameters = {}
    for key, range_ in source.study.search_space.root.items():
        if key not in given:
            raise LrrayError(key, "the sweep must give this parameter", fix=f"{key}={range_.low}")
        parameters[key] = read_value(range_, given[key], key)
    return source, parameters


def _limits(study: Any) -> Limits:
    resources = study.resources
    return Limits(
        max_failures=resources.max_failures,
        time_limit_s=resources.time_limit_s,
        memory_gb=resources.memory_gb,
    )


def main() -> int:
    """Entry of ``python -m lrray.sweeps.agent``."""
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        if len(sys.argv) < 2:
            raise LrrayError("STUDY", "name a study", fix=f"python -m {__spec__.name} difficulty")
        print(json.dumps(evaluate(sys.argv[1], sys.argv[2:])))
    except LrrayError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
