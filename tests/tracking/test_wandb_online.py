"""The way to W&B over the network, against a server that speaks its protocol on this machine."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tracked_cells import STEPS, cell
from wandb_server import ENTITY, StoredRun, StoredSweep, WandbServer

from lrray.config import dump_yaml, parse
from lrray.reports.compare.traces import read_traces
from lrray.results.folder import RunFolder
from lrray.studies.schema import Tracking
from lrray.sweeps.convert import export_sweep, read_searched
from lrray.tracking.follower import announce
from lrray.tracking.sinks import run_id

SCRIPT = Path(__file__).with_name("tracked_cells.py")
KEY = "0123456789abcdef0123456789abcdef01234567"
BIN = Path(sys.executable).parent


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with WandbServer() as running:
        yield running
    assert running.unknown == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    made = RunFolder.create(tmp_path, "descend")
    tracking = parse(Tracking, {"wandb": {"project": "p", "tags": ["pilot"]}}, "tracking")
    announce(made, tracking, "descend.yaml")
    return made


def environment(server: WandbServer, home: Path) -> dict[str, str]:
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    own = {"HOME": str(home), "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "PATH": path}
    return {**os.environ, "PYTHONPATH": str(Path.cwd()), **own}


def run_apart(
    server: WandbServer, folder: RunFolder, *, function: str = "descend", stop_at: int = -1,
    finish_s: float = 60,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Runs the cell in a process of its own, as a worker would, with this server for W&B."""
    words = [str(folder.path), str(stop_at), str(finish_s), function]
    own = environment(server, folder.path)
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, env=own, timeout=120
    )


def only_run(server: WandbServer) -> StoredRun:
    (run,) = server.runs.values()
    return run


def losses(run: StoredRun) -> list[tuple[int, float]]:
    return [(point["_step"], point["loss_bits"]) for point in run.history]


WHOLE = [(step, 1 + 0.9**step) for step in range(STEPS)]


def test_a_cell_is_created_with_its_group_tags_and_config_and_its_points_arrive(server, folder):
    done = run_apart(server, folder)
    assert (done.returncode, done.stderr) == (0, "")
    run = only_run(server)
    assert run.name == run_id(cell(), folder)
    sent = [run.fields[name] for name in ("project", "groupName", "jobType", "displayName", "tags")]
    assert sent == ["p", folder.name, "function", "rate=0.1 seed=3", ["pilot"]]
    assert run.settings() == {
        "cell": {"rate": 0.1, "seed": 3}, "experiment_config_path": "descend.yaml",
        "function": "tracked_cells:descend", "settings": {"rate": 0.1}, "seed": 3,
    }  # fmt: skip
    assert losses(run) == WHOLE
    assert (run.summary["seed_squared"], run.summary["state"], run.exit_code) == (9, "done", 0)
    assert not (folder.path / "tracking.log").exists()


def test_evaluation_points_arrive_with_the_training_loss_of_their_step(server, folder):
    assert run_apart(server, folder, function="evaluate_every_tenth").returncode == 0
    told = [(p["_step"], p["train_loss_bits"], p.get("excess_bits"))
            for p in only_run(server).history]  # fmt: skip
    assert told == [(s, 1 / s, 2 / s if s % 10 == 0 else None) for s in range(5, 31, 5)]


def test_a_failed_cell_ends_its_run_as_failed(server, folder):
    assert run_apart(server, folder, function="fail").returncode == 0
    assert (only_run(server).exit_code, only_run(server).summary["state"]) == (1, "failed")


def test_a_killed_cell_goes_on_in_the_same_run_and_sends_no_step_twice(server, folder):
    assert run_apart(server, folder, stop_at=10).returncode == 1
    before = list(only_run(server).history)
    assert only_run(server).exit_code is None
    assert run_apart(server, folder).returncode == 0
    run = only_run(server)
    assert (run.opened, run.exit_code) == (2, 0)
    assert losses(run) == WHOLE
    assert run.history[: len(before)] == before


def test_a_connection_that_comes_back_in_time_costs_no_point(server, folder):
    server.lost_with_points = True
    back = threading.Thread(target=come_back, args=(server,))
    back.start()
    assert run_apart(server, folder).returncode == 0
    back.join()
    assert losses(only_run(server)) == WHOLE
    assert only_run(server).exit_code == 0


def come_back(server: WandbServer) -> None:
    """Ends the outage once a few requests have been cut off."""
    while server.num_cut_off < 3:
        time.sleep(0.05)
    server.lost_with_points = False
    server.away.clear()


def test_a_connection_that_stays_lost_costs_no_cell_and_its_points_can_be_sent_later(
    server, folder
):
    server.lost_with_points = True
    done = run_apart(server, folder, finish_s=4)
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout.split()[0]) < 60  # it would wait for a living server as long
    assert folder.load_cell(cell().id).state == "done"
    assert only_run(server).history == []
    (told, *_) = (folder.path / "tracking.log").read_text().splitlines()
    command = told.split("'")[1]
    assert "not finished 4 s after the cell" in told
    # The next cell leaves the lost server alone.
    folder.cell_path(cell().id).unlink()
    assert run_apart(server, folder).returncode == 0
    assert len(list(folder.path.glob("wandb/offline-run-*"))) == 1
    server.lost_with_points = False
    server.away.clear()
    own = environment(server, folder.path)
    sent = subprocess.run(command, shell=True, capture_output=True, text=True, env=own, timeout=60)
    assert sent.returncode == 0, sent.stderr
    assert losses(only_run(server)) == WHOLE


STUDY = {
    "kind": "function", "question": "Which rate is best?", "hypothesis": "A large one.",
    "function": "tests.tracking.tracked_cells:descend",
    "search_space": {"settings.rate": {"distribution": "log_uniform", "low": 0.0001, "high": 0.5}},
    "search": {"sampler": "tpe", "num_trials": 2, "metric": "loss_bits"},
}  # fmt: skip


@pytest.mark.slow  # a command, an agent and two trials, each of which starts wandb
def test_an_exported_sweep_runs_under_wandbs_own_agent_and_is_compared(server, tmp_path):
    (tmp_path / "study.yaml").write_text(dump_yaml(STUDY))
    sweep = export_sweep(read_searched(str(tmp_path / "study.yaml"))).data
    (tmp_path / "sweep.yaml").write_text(dump_yaml(sweep))
    own = environment(server, tmp_path)

    def wandb(*words: str) -> None:
        done = subprocess.run(
            [str(BIN / "wandb"), *words], capture_output=True, text=True, env=own, cwd=tmp_path,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    wandb("sweep", "--project", "p", "sweep.yaml")
    (kept,) = server.sweeps.values()
    assert yaml.safe_load(kept.config)["metric"] == {"goal": "minimize", "name": "loss_bits"}
    kept.proposals = [{"settings.rate": 0.01}, {"settings.rate": 0.3}]
    wandb("agent", f"{ENTITY}/p/{kept.name}")
    assert [run.fields["sweep"] for run in server.runs.values()] == [kept.name] * 2
    compared = subprocess.run(
        [str(BIN / "lrray"), "compare", f"wandb:{ENTITY}/p/{kept.name}", "--out", "compare"],
        capture_output=True, text=True, env=own, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert compared.returncode == 0, compared.stderr
    curves = pd.read_csv(tmp_path / "compare" / "curves.csv")
    assert curves["value"].tolist() == pytest.approx([1 + 0.99**30, 1 + 0.7**30], rel=1e-12)


def test_a_sweep_of_several_pages_is_read_whole_and_in_order(server, tmp_path, monkeypatch):
    runs = {f"r{i}": StoredRun(f"r{i}", i, "p", {"sweep": "many"}) for i in range(23)}
    for i, run in enumerate(runs.values()):
        run.config = {"rate": {"value": i / 10}, "_wandb": {"value": {"t": {}}}}
        run.summary = {"score": i * i, "_runtime": 2.5, "_wandb": {"runtime": 2}}
    del runs["r7"].summary["score"]  # one that was cut off
    server.runs |= runs
    asked = {"method": "grid", "metric": {"name": "score", "goal": "maximize"}}
    server.sweeps["many"] = StoredSweep("many", "p", yaml.safe_dump(asked))
    for name, value in environment(server, tmp_path).items():
        monkeypatch.setenv(name, value)
    (trace,) = read_traces(f"wandb:{ENTITY}/p/many")
    assert (trace.metric, trace.goal) == ("score", "maximize")
    assert trace.trials["value"].tolist() == [i * i for i in range(23) if i != 7]
    assert trace.trials["rate"].tolist() == [i / 10 for i in range(23) if i != 7]
    assert set(trace.trials["seconds"]) == {2.5}


def test_a_sweep_that_is_not_there_is_said_in_one_line(server, tmp_path):
    command = [str(BIN / "lrray"), "compare", f"wandb:{ENTITY}/p/none"]
    own = environment(server, tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, env=own, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"wandb:{ENTITY}/p/none: W&B does not give this sweep: ")
    assert json.dumps(done.stderr).count("\\n") == 1
