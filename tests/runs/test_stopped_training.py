"""Training that is asked to stop writes a checkpoint first, whatever its own rhythm."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lrray.config import dump_yaml
from lrray.results.folder import RunFolder
from lrray.results.run import Run
from tests.kinds.test_training_kind import PAIRS, TINY
from tests.studies.small_study import command, environment, run

pytestmark = pytest.mark.slow

STEPS = 1500
PATIENCE_S = 300


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A single cell that would write its first checkpoint at its end."""
    (tmp_path / "pairs.yaml").write_text(dump_yaml(PAIRS))
    train = {**TINY["train"], "steps": STEPS, "checkpoint_every": None, "log_every": 10}
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_yaml({**TINY, "grid": {"pair": ["easy_to_infer"]}, "train": train}))
    return path


def result(folder: Path) -> dict[str, Any]:
    (record,) = RunFolder(folder).cells()
    assert record.state == "done", record
    return {key: value for key, value in record.result.items() if key != "tokens_per_s"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_study_goes_on_from_the_step_it_was_stopped_at(study: Path, workers: int) -> None:
    spread = ["resources.cpu=0.5", f"resources.workers={workers}"]
    whole = run(study.parent, study, *spread, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    driver = subprocess.Popen(
        command(study, *spread, "--out", "stopped"), cwd=study.parent, env=environment(),
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    curves = "stopped/tiny/*/metrics/*.jsonl"
    deadline = time.monotonic() + PATIENCE_S
    while not list(study.parent.glob(curves)) and time.monotonic() < deadline:
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    driver.terminate()
    stdout, stderr = driver.communicate(timeout=PATIENCE_S)
    assert (driver.returncode, stderr) == (130, "")
    assert "stopping: running cells write their checkpoints" in stdout
    (folder,) = (study.parent / "stopped" / "tiny").iterdir()
    (checkpoint,) = folder.glob("checkpoints/*/checkpoints/step_*")
    step = int(checkpoint.name.removeprefix("step_"))
    assert 0 < step < STEPS
    (cell,) = (path.stem for path in folder.glob("metrics/*.jsonl"))
    before = Run(folder).metrics(cell)
    resumed = run(study.parent, study, *spread, "--out", "stopped", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    (uninterrupted,) = (study.parent / "whole" / "tiny").iterdir()
    assert result(folder) == result(uninterrupted)
    after = Run(folder).metrics(cell)
    assert after[: len(before)] == before  # nothing was computed a second time
    losses = [[p["train_loss_bits"] for p in points if "train_loss_bits" in p]
              for points in (after, Run(uninterrupted).metrics(cell))]  # fmt: skip
    assert losses[0] == losses[1]
