"""Small real results folders, made without a cluster: cells run one after the other in here."""

from pathlib import Path
from typing import Any

from lrray.config import dump_yaml
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.kinds.difficulty.cell import objective_of
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.results.folder import RunFolder
from lrray.search.memory import Searches
from lrray.search.queue import SearchedCells
from lrray.search.samplers import make_sampler
from lrray.studies.cell import Cell
from lrray.studies.grid import expand
from lrray.studies.load import read_study

SMALL = [
    "seeds=2", "sequences_per_seed=1", "seq_len=256", "entropy_sequences=0", "target.value=0.85",
]  # fmt: skip


def search(results: Path, sampler: str, seeds: list[int], num_trials: int) -> RunFolder:
    """Searches of a small difficulty study, one for every seed of the sampler."""
    words = [f"search.sampler={sampler}", f"search.num_trials={num_trials}"]
    data, path = read_study("difficulty_single", [*SMALL, *words])
    data["grid"] = {"search.seed": seeds}
    folder = RunFolder.create(results, sampler)
    points = expand(data, DifficultyStudy, str(path))
    resolved = points[0].study.model_dump(mode="json", exclude_none=True)
    folder.write_text("study.yaml", dump_yaml({**resolved, "grid": data["grid"]}))
    searches = Searches(folder)
    for point in points:
        study = point.study
        space = study.search_space.to_optuna()
        asked = objective_of(study, study.seed_list, point.axes)
        proposer = make_sampler(study.search, space, study.target.value)
        one = searches.open(f"{point.label} mean", study.search, space, asked, proposer)
        run_source(SearchedCells(folder, [one]), folder)
    return folder


def run_source(source: SearchedCells, folder: RunFolder) -> None:
    """What Tune does with a source, one trial at a time."""
    number = 0
    while cells := source.hand_out(str(number)):
        for cell in cells:
            run_durably(cell, folder, Limits(max_failures=0))
        source.trial_ended(str(number))
        number += 1


def grid_of_cells(results: Path, name: str, values: dict[int, dict[str, Any]]) -> RunFolder:
    """Finished cells of a grid over seeds, with the results given."""
    folder = RunFolder.create(results, name)
    folder.write_text("study.yaml", dump_yaml({"kind": "function", "question": name}))
    for seed, result in values.items():
        cell = Cell("function", {"study": name, "seed": seed}, {"seed": seed}, "code")
        folder.save_cell(cell, result, 1.0)
    return folder
