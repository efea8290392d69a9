"""Cells as W&B runs and TensorBoard files, read back from what was really written."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event
from tracked_cells import STEPS, cell, run

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.results.folder import RunFolder
from lrray.studies.tracking import Tracking
from lrray.tracking.follower import FINISH_S, announce, closing_lines
from lrray.tracking.wandb_files import WandbRun, find_runs, read_run

SCRIPT = Path(__file__).with_name("tracked_cells.py")
KEY = "0123456789abcdef0123456789abcdef01234567"
CLOSED_PORT = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    return RunFolder.create(tmp_path, "descend")


def switch_on(folder: RunFolder, **tracking: object) -> None:
    announce(folder, parse(Tracking, tracking, "study.yaml: tracking"), "descend.yaml")


def run_apart(
    folder: RunFolder, stop_at: int = -1, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the cell in a process of its own, with an environment of its own."""
    # wandb looks for keys in the home folder too: an empty one has none.
    clean = {**os.environ, "HOME": str(folder.path), **environment}
    command = [sys.executable, str(SCRIPT), str(folder.path), str(stop_at), str(FINISH_S)]
    return subprocess.run(command, capture_output=True, text=True, env=clean, timeout=120)


def wandb_runs(folder: RunFolder) -> list[WandbRun]:
    return [read_run(path) for path in find_runs(folder.path)]


def test_a_cell_becomes_one_offline_run_with_its_settings_curves_and_result(folder, monkeypatch):
    monkeypatch.setenv("WANDB_TAGS", "second, third")
    switch_on(folder, wandb={"project": "p", "mode": "offline", "tags": ["first", "second"]})
    run(cell(), folder.path)
    (found,) = wandb_runs(folder)
    assert (found.project, found.group, found.job_type) == ("p", folder.name, "function")
    assert found.name == "rate=0.1 seed=3"
    assert found.tags == ("first", "second", "third")
    assert found.config["settings"] == {"rate": 0.1}
    assert found.config["cell"] == {"rate": 0.1, "seed": 3}
    assert found.config["experiment_config_path"] == "descend.yaml"
    assert [point["_step"] for point in found.history] == list(range(STEPS))
    assert found.history[10]["loss_bits"] == 1 + 0.9**10
    assert found.summary["seed_squared"] == 9
    assert found.summary["loss_bits"] == 1 + 0.9**STEPS
    assert found.exit_code == 0
    assert "wandb sync" in closing_lines(folder)[0]


def test_a_failed_cell_ends_its_run_as_failed(folder):
    switch_on(folder, wandb={"mode": "offline"})
    assert run(cell("fail"), folder.path).state == "failed"
    (found,) = wandb_runs(folder)
    assert found.exit_code == 1
    assert found.summary["state"] == "failed"


def test_a_killed_cell_continues_the_same_run(folder):
    switch_on(folder, wandb={"mode": "offline"}, tensorboard=True)
    assert run_apart(folder, stop_at=10).returncode == 1
    assert run_apart(folder).returncode == 0
    first, second = find_runs(folder.path)
    assert first.name == second.name == f"run-{read_run(second).id}.wandb"
    assert [point["_step"] for point in read_run(second).history] == list(range(STEPS))
    assert [step for step, _ in scalars(folder, "loss_bits")] == list(range(STEPS))


def test_what_is_logged_of_one_step_in_two_lines_is_one_step_of_wandb_and_tensorboard(folder):
    switch_on(folder, wandb={"mode": "offline"}, tensorboard=True)
    run(cell("evaluate_every_tenth"), folder.path)
    (found,) = wandb_runs(folder)
    told = [(point["_step"], point.get("train_loss_bits"), point.get("excess_bits"))
            for point in found.history]  # fmt: skip
    expected = [(s, 1 / s, 2 / s if s % 10 == 0 else None) for s in range(5, 31, 5)]
    assert told == expected
    steps = [step for step, _ in scalars(folder, "train_loss_bits")]
    assert steps == [step for step, *_ in expected]
    assert [step for step, _ in scalars(folder, "excess_bits")] == [10, 20, 30]


def test_another_run_of_the_study_has_other_ids(folder, tmp_path):
    other = RunFolder.create(tmp_path, "descend")
    for place in (folder, other):
        switch_on(place, wandb={"mode": "offline"})
        run(cell(), place.path)
    assert wandb_runs(folder)[0].id != wandb_runs(other)[0].id


def test_an_outage_costs_a_bounded_wait_and_no_cell(folder):
    switch_on(folder, wandb={"mode": "online"})
    outage = {"WANDB_BASE_URL": CLOSED_PORT, "WANDB_API_KEY": KEY}
    done = run_apart(folder, **outage)
    assert done.returncode == 0
    assert float(done.stdout.split()[0]) < FINISH_S + 10  # on a quiet machine about 13 s
    assert done.stderr == ""
    assert folder.load_cell(cell().id).state == "done"
    kept = [found for found in wandb_runs(folder) if found.history]
    assert len(kept[0].history) == STEPS
    assert "could not be opened" in (folder.path / "tracking.log").read_text()
    assert "no cell was harmed" in closing_lines(folder)[-1]
    no_file_holds(KEY, folder.path)
    # The next cell does not ask the dead server again.
    folder.cell_path(cell().id).unlink()
    assert run_apart(folder, **outage).returncode == 0
    assert (folder.path / "tracking.log").read_text().count("could not be opened") == 1


def test_without_a_key_an_online_run_is_kept_offline(folder):
    switch_on(folder, wandb={"mode": "online"})
    assert run_apart(folder).returncode == 0
    assert len(wandb_runs(folder)[-1].history) == STEPS
    assert "No API key" in (folder.path / "tracking.log").read_text()


def test_without_tracking_wandb_is_not_even_imported(folder):
    switch_on(folder)
    assert run_apart(folder).stdout.split()[1] == "False"
    assert not (folder.path / "wandb").exists()
    assert not (folder.path / "tensorboard").exists()


def test_damaged_tracking_settings_harm_no_cell(folder):
    folder.write_text("tracking.json", "{half")
    assert run(cell(), folder.path).state == "done"
    assert "nothing is tracked" in (folder.path / "tracking.log").read_text()


def test_tensorboard_files_hold_curves_and_result(folder):
    switch_on(folder, tensorboard=True)
    run(cell(), folder.path)
    curve = scalars(folder, "loss_bits")
    assert curve[10] == (10, pytest.approx(1 + 0.9**10))
    assert len(curve) == STEPS
    assert scalars(folder, "result/seed_squared") == [(STEPS, 9.0)]


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        (
            {"wandb": {"mode": "on"}},
            "tracking: wandb.mode: must be 'online' or 'offline', but got 'on' "
            "(fix: known: offline, online)",
        ),
        (
            {"wandb": {"api_key": KEY}},
            "tracking: wandb: unknown key 'api_key' (fix: known: entity, mode, project, tags)",
        ),
        ({"wandb": {"project": ""}}, "tracking: wandb.project: must not be empty"),
    ],
)
def test_mistakes_are_told_in_one_line(tracking, message):
    with pytest.raises(LrrayError) as caught:
        parse(Tracking, tracking, "tracking")
    assert str(caught.value).startswith(message)
    assert KEY not in str(caught.value)


def scalars(folder: RunFolder, name: str) -> list[tuple[int, float]]:
    """Step and value of one curve in the event files of a folder's only cell."""
    found = []
    for path in sorted((folder.path / "tensorboard").glob("*/events*")):
        for event in events(path.read_bytes()):
            found += [(event.step, v.simple_value) for v in event.summary.value if v.tag == name]
    return found


def events(content: bytes):
    """Records of an event file: length, its checksum, data, the data's checksum."""
    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield Event.FromString(content[at + 12 : at + 12 + length])
        at += 12 + length + 4


def no_file_holds(secret: str, folder: Path) -> None:
    for path in folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
