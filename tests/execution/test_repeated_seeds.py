"""A cell that repeats seeds, as the trials of a search do, gives what its seeds give alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrray.config import dump_yaml
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.results.folder import RunFolder
from lrray.results.record import DONE
from lrray.results.run import Run
from lrray.studies.cell import Cell
from tests.studies.small_study import run

FUNCTION = {"function": "tests.studies.seeded_cells:remembers", "settings": {"rate": 2.0}}
TRAIN: dict[str, Any] = {
    "graph": {"nodes": [
        {"name": "Z1", "state_dim": 2, "alpha": 0.3},
        {"name": "X", "state_dim": 4, "alpha": 0.3, "parents": ["Z1"], "observed": True},
    ]},
    "graph_seed": None,
    "model": {"type": "mingru", "hidden_size": 8, "num_hidden_layers": 1},
    "train": {"steps": 10, "batch_size": 4, "seq_len": 16, "eval_sequences": 8,
              "checkpoint_every": 5},
    "compressors": [],
}  # fmt: skip


def measured(kind: str, settings: dict[str, Any], seed: Any, folder: RunFolder) -> Any:
    cell = Cell(kind, {**settings, "seed": seed}, {}, "c0de")
    record = run_durably(cell, folder, Limits())
    assert record.state == DONE, record
    return cell, record.result


@pytest.mark.parametrize(("kind", "settings", "number"), [
    ("function", FUNCTION, "loss"), ("train", TRAIN, "loss_bits"),
])  # fmt: skip
def test_repeated_seeds_give_what_each_gives_alone(
    tmp_path: Path, kind: str, settings: dict[str, Any], number: str
) -> None:
    folder = RunFolder.create(tmp_path, "study")
    alone = [measured(kind, settings, seed, folder) for seed in (5, 7)]
    cell, together = measured(kind, settings, [5, 7], folder)
    assert together["per_seed"][number] == [result[number] for _, result in alone]
    assert together["num_seeds"] == 2
    # What a scheduler and readers see is one curve, the first seed's.
    curve, first = Run(folder.path).metrics(cell.id), Run(folder.path).metrics(alone[0][0].id)
    assert [point["step"] for point in curve] == [point["step"] for point in first]
    assert curve[-1].get(number) == first[-1].get(number)
    # A worker that was lost before it could say so leaves its seeds' checkpoints behind.
    folder.cell_path(cell.id).unlink()
    assert measured(kind, settings, [5, 7], folder)[1]["per_seed"][number] == [
        result[number] for _, result in alone
    ]


def test_a_search_with_a_scheduler_is_judged_by_the_mean_over_seeds(tmp_path: Path) -> None:
    study = {
        "kind": "function", "question": "Which rate?", "hypothesis": "The least.", **FUNCTION,
        "search_space": {"settings.rate": {"distribution": "log_uniform", "low": 0.1, "high": 10}},
        "search": {"sampler": "random", "num_trials": 6, "metric": "loss", "mode": "min",
                   "seeds": [1, 2, 3], "scheduler": "asha", "max_step": 3},
    }  # fmt: skip
    path = tmp_path / "rates.yaml"
    path.write_text(dump_yaml(study))
    ended = run(tmp_path, path)
    assert ended.returncode == 0, ended.stderr
    (folder,) = (tmp_path / "results" / "rates").iterdir()
    records = RunFolder(folder).cells()
    done = [record for record in records if record.state == DONE]
    assert done
    for record in done:
        rate = record.settings["settings"]["rate"]
        assert record.result["per_seed"]["loss"] == [rate, 2 * rate, 3 * rate]
        assert record.result["loss"] == pytest.approx(2 * rate)
