"""Training on nodes that share nothing but a server: cells of several workers, and lost nodes."""

import contextlib
import json
import os
import tempfile
from pathlib import Path

import psutil
import pytest
import yaml

from lrray.results.folder import RunFolder
from lrray.storage.objects import open_store
from tests.faults.driver import PATIENCE_S, finish, happens, kill, only_run, start, wait_for
from tests.kinds.test_training_kind import PAIRS, TINY
from tests.storage.contents import snapshots

pytestmark = pytest.mark.slow


def write(folder, steps, checkpoint_every, pairs, **resources):
    """A study of one cell per pair; a checkpoint is to be copied long before its last step."""
    (folder / "pairs.yaml").write_text(yaml.safe_dump(PAIRS))
    train = {**TINY["train"], "steps": steps, "checkpoint_every": checkpoint_every}
    study = {**TINY, "grid": {"pair": pairs}, "train": train, "resources": resources}
    path = folder / "faulty.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def undisturbed(folder, *study):
    """Results of the study in one folder, with one worker per cell."""
    code, output = finish(write(folder, *study), folder / "undisturbed")
    assert code == 0, output
    return results(folder / "undisturbed")


def results(out):
    """What each cell found, but for how fast."""
    records = list(RunFolder(only_run(out)).cells())
    assert {record.state for record in records} == {"done"}
    return {
        record.id: {k: v for k, v in record.result.items() if k != "tokens_per_s"}
        for record in records
    }


def newest_step(names):
    """Of the checkpoints that these files belong to."""
    folders = [part for name in names for part in Path(name).parts if part.startswith("step_")]
    return max((int(folder.removeprefix("step_")) for folder in folders), default=0)


def stored_step(place, snapshot):
    """The newest step of a cell that the storage holds."""
    return newest_step(json.loads(open_store(place).below("faulty").get(snapshot))["files"])


def node_folders(out):
    """Where nodes keep what they work on, one folder each."""
    place = Path(tempfile.gettempdir(), f"lrray-{os.getuid()}")
    runs = [path.parent.name for path in out.glob("faulty/*/study.yaml")]
    return [folder for run in runs for folder in place.glob(f"*/*/faulty/{run}")]


def files(folder):
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def begun_again(out, cell_id):
    """Whether a cell's first point was drawn more than once."""
    curve = (only_run(out) / "metrics" / f"{cell_id}.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in curve]
    return steps.count(min(steps)) > 1


def workers_of(cluster):
    """Processes of Ray Train's workers, oldest first."""
    family = psutil.Process(cluster._process.pid).children(recursive=True)
    found = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("RayTrainWorker" in word for word in process.cmdline()):
                found.append((process.create_time(), process))
    return [process for _, process in sorted(found, key=lambda one: one[0])]


def while_held(worker, condition):
    """Whether a condition comes true while a worker stands still."""
    worker.suspend()
    try:
        return happens(condition, within_s=20)
    finally:
        worker.resume()


def test_a_cell_over_two_nodes_survives_its_workers_and_finds_what_one_worker_finds(
    tmp_path, place, two_nodes
):
    study = (600, 20, ["easy_to_infer"])
    alone = undisturbed(tmp_path, *study)
    out = tmp_path / "out"
    # A worker takes all CPUs of a node. No failure is forgiven: to lose a worker is none.
    spread = write(tmp_path, *study, workers=2, cpu=2, max_failures=0)
    process = start(spread, out, "--storage", place)

    def here():
        return newest_step(name for node in node_folders(out) for name in files(node))

    def stored():
        return max((stored_step(place, name) for name in snapshots(place)), default=0)

    try:
        wait_for(lambda: here() > 0, process)
        workers = workers_of(two_nodes)
        # Where the first rank waits for the other, the storage catches up with it.
        assert any(while_held(one, lambda: stored() == here()) for one in 5 * workers)
        # One node has a newer checkpoint than the other can know of.
        wait_for(lambda: here() > stored(), process)
        workers[-1].kill()
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        kill(process)
    assert process.returncode == 0, output
    found = results(out)
    assert found == {cell_id: pytest.approx(alone[cell_id], abs=1e-4) for cell_id in alone}
    assert not any(begun_again(out, cell_id) for cell_id in found)
    left = [name for node in node_folders(out) for name in files(node)]
    assert len(node_folders(out)) == 2
    assert [
        name for name in left if not name.startswith(("study.yaml", "tracking.json", "shared/"))
    ] == []


def test_training_on_a_node_that_vanishes_goes_on_elsewhere_to_the_same_last_bit(
    tmp_path, place, two_nodes
):
    study = (2500, 100, ["easy_to_infer", "easy_to_predict"])
    alone = undisturbed(tmp_path, *study)
    out = tmp_path / "out"
    process = start(write(tmp_path, *study, cpu=2), out, "--storage", place)  # a cell per node

    def steps():
        return [stored_step(place, name) for name in snapshots(place)]

    try:
        wait_for(lambda: len(steps()) == 2 and min(steps()) > 0, process)
        assert max(steps()) < study[0]
        two_nodes.remove_node()
        two_nodes.add_node()
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        kill(process)
    assert process.returncode == 0, output
    assert results(out) == alone
    assert not any(begun_again(out, cell_id) for cell_id in alone)
