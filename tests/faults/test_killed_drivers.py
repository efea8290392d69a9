"""Drivers killed at random moments: nothing finished is lost, nothing runs twice."""

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import driver
from tests.faults.driver import (
    begun,
    cells,
    finish,
    kill,
    only_run,
    start,
    table,
    wait_for,
    write_study,
)

pytestmark = pytest.mark.slow

NUM_CELLS, NUM_KILLS, CELL_S = 96, 20, 0.7

START_S = 120
"""How long a study may take to its first cells."""


def test_twenty_kills_over_96_cells_lose_nothing_and_repeat_nothing_finished(tmp_path):
    log = tmp_path / "log"
    log.touch()
    allowed = tmp_path / "log.allowed"
    grid = {"settings.i": {"start": 0, "stop": NUM_CELLS}}
    settings = {"log": str(log), "seconds": CELL_S}
    study, out = write_study(tmp_path, "counted", grid, settings), tmp_path / "out"
    rng, kept = random.Random(0), {}
    for kills in range(1, NUM_KILLS + 1):
        allowed.write_text(str(4 * kills))  # a few more cells, however slow this machine is
        process = start(study, out, "--resume")
        wait_for_a_new_line(log, process)
        time.sleep(rng.uniform(0, 0.8))
        assert process.poll() is None, process.stdout.read()
        kill(process)
        now = {record.id: record.finished_at for record in cells(only_run(out))}
        assert kept.items() <= now.items(), "a finished cell was lost or ran again"
        kept = now
    allowed.unlink()
    code, output = finish(study, out, "--resume")
    assert code == 0, output
    run = only_run(out)
    assert len(cells(run)) == NUM_CELLS
    # A cell whose line is there but whose record was not yet: one per worker and kill at most.
    repeated = Counter(log.read_text().split()).total() - NUM_CELLS
    assert 0 <= repeated <= 2 * NUM_KILLS
    undisturbed = tmp_path / "undisturbed"
    assert finish(study, undisturbed)[0] == 0
    assert table(run).equals(table(only_run(undisturbed)))


def wait_for_a_new_line(log, process):
    before = len(log.read_text().splitlines())
    wait_for(
        lambda: len(log.read_text().splitlines()) > before or process.poll() is not None,
        within_s=START_S,
    )


def test_a_killed_cell_continues_from_its_checkpoint(tmp_path):
    log = tmp_path / "log"
    log.touch()
    hold = tmp_path / "log.hold"
    hold.touch()
    study = write_study(tmp_path, "checkpointed", {"settings.i": [1, 2]}, {"log": str(log)})
    out = tmp_path / "out"
    process = start(study, out)
    wait_for(lambda: len(list(out.glob("faulty/*/checkpoints/*/step"))) == 2, within_s=START_S)
    kill(process)
    hold.unlink()
    assert finish(study, out, "--resume")[0] == 0
    tries = begun(log)
    assert Counter(i for i, _, _ in tries) == {1: 2, 2: 2}
    assert all(step > 0 for _, step, _ in tries[2:])
    run = only_run(out)
    for curve in (run / "metrics").iterdir():
        assert curve.read_text().count("\n") >= 30
    assert {record.result["steps"] for record in cells(run)} == {30.0}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_polite_stop_says_how_to_go_on_and_going_on_finishes(tmp_path, number):
    log = tmp_path / "log"
    log.touch()
    grid = {"settings.i": {"start": 0, "stop": 12}}
    study = write_study(tmp_path, "counted", grid, {"log": str(log), "seconds": 0.5})
    out = tmp_path / "out"
    allowed = tmp_path / "log.allowed"
    allowed.write_text("4")
    process = start(study, out)
    wait_for(lambda: len(list(out.glob("faulty/*/cells/*.json"))) >= 2, within_s=START_S)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    command = f"lrray study {study} --out {out} --address {driver.address} --resume"
    assert f"Continue with: {command}" in output
    assert "Traceback" not in output
    finished = len(cells(only_run(out)))
    assert 2 <= finished <= 4
    allowed.unlink()
    assert finish(study, out, "--resume")[0] == 0
    assert len(cells(only_run(out))) == 12


def test_a_grid_grows_without_computing_anything_again(tmp_path):
    log = tmp_path / "log"
    study = write_study(tmp_path, "counted", {"settings.i": [1, 2, 3]}, {"log": str(log)})
    out = tmp_path / "out"
    finish(study, out)
    before = {record.id: record.finished_at for record in cells(only_run(out))}
    write_study(tmp_path, "counted", {"settings.i": [1, 2, 3, 4, 5]}, {"log": str(log)})
    code, output = finish(study, out, "--resume")
    assert code == 0
    assert "changed since that run: grid.settings.i: [1, 2, 3] → [1, 2, 3, 4, 5]" in output
    after = {record.id: record.finished_at for record in cells(only_run(out))}
    assert len(after) == 5
    assert before.items() <= after.items()
    assert Counter(Path(log).read_text().split()) == {str(i): 1 for i in range(1, 6)}
