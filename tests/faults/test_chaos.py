"""Random faults over a study of mixed cells, for as long as is asked for.

``LRRAY_CHAOS_S`` says how many seconds (60), ``LRRAY_CHAOS_SEED`` which faults (random; printed).
"""

import json
import os
import random
import secrets
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.disk import small_disk
from tests.faults import driver
from tests.faults.driver import below, cells, kill, only_run, start, table, write_study

pytestmark = pytest.mark.slow

DURATION_S = float(os.environ.get("LRRAY_CHAOS_S", "60"))
SEED = int(os.environ.get("LRRAY_CHAOS_SEED", secrets.randbelow(10**6)))
NUM_CELLS = max(24, int(0.8 * DURATION_S))
HANG_S = 90
"""How long a driver may take after a fault to its end or its next cell; to its first, as well."""


def faults(rng, process, disk):
    """What can be done to a driver, by name."""
    return {
        "driver SIGKILL": lambda: kill(process),
        "driver SIGTERM": lambda: process.send_signal(signal.SIGTERM),
        "driver SIGHUP": lambda: process.send_signal(signal.SIGHUP),
        "driver halted": lambda: halted(process, rng.uniform(1, 5)),
        "raylet": lambda: strike(rng, process, "raylet"),
        "control service": lambda: strike(rng, process, "gcs_server"),
        "one worker": lambda: strike(rng, process, "workers"),
        "all workers": lambda: [one.kill() for one in below(process.pid, "workers")],
        **({"disk full": lambda: filled(disk, rng.uniform(1, 4))} if disk.is_mounted else {}),
    }


def strike(rng, process, name):
    victims = below(process.pid, name)
    if victims:
        rng.choice(victims).kill()


def halted(process, seconds):
    """As when a laptop sleeps or a machine swaps."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Disk:
    """A small file system for the results, where this user may mount one."""

    path: Path
    is_mounted: bool


def filled(disk, seconds):
    filler = disk.path / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)
    time.sleep(seconds)
    filler.unlink()


def test_a_study_under_random_faults_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "address", "local")
    print(f"\nLRRAY_CHAOS_SEED={SEED} LRRAY_CHAOS_S={DURATION_S:g}")
    with small_disk(tmp_path / "disk", "size=32m") as is_mounted:
        disk = Disk(tmp_path / "disk", is_mounted)
        out = disk.path / "out"
        study, log = mixed_study(tmp_path)
        struck = chaos(random.Random(SEED), study, out, disk)
        code, output = driver.finish(study, out, "--resume", timeout=600)
        assert code == 1, output  # the cells that always raise
        run = only_run(out)
        began, finished = told(log)
        told_cells = f"{len(cells(run))} cells, {sum(finished.values())} finished by their code"
        print(f"{sum(struck.values())} faults: {dict(struck)}; {told_cells}")
        assert len(cells(run)) == NUM_CELLS
        again = sum(count - 1 for count in finished.values())
        # What had computed its result but not yet kept it when a fault struck: two cells at most.
        assert again <= 2 * sum(struck.values())
        assert set(began) == set(range(NUM_CELLS))
        disturbed = table(run)
    assert driver.finish(study, tmp_path / "undisturbed", timeout=600)[0] == 1
    assert disturbed.equals(table(only_run(tmp_path / "undisturbed")))
    print(f"lost 0, run twice {again}, table equal")


def mixed_study(folder):
    """Its file, and that where cells note what they do."""
    log = folder / "log"
    grid = {"settings.i": {"start": 0, "stop": NUM_CELLS}}
    return write_study(folder, "mixed", grid, {"log": str(log)}), log


def told(log):
    """How often each cell began, and came to its end."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    began = Counter(line["i"] for line in lines if line["what"] == "begins")
    return began, Counter(line["i"] for line in lines if line["what"] == "ends")


def chaos(rng, study, out, disk):
    """Strikes drivers of a study at random moments; returns how often by what."""
    end, struck, kept, process = time.monotonic() + DURATION_S, Counter(), {}, None
    try:
        while time.monotonic() < end:
            process = start(study, out, "--resume", output=study.parent / "output")
            while process.poll() is None and time.monotonic() < end:
                wait_for_some_work(out, process, rng.uniform(0, 6))
                if process.poll() is not None:
                    break
                possible = faults(rng, process, disk)
                name = rng.choice(sorted(possible))
                with suppress(psutil.Error, ProcessLookupError):
                    possible[name]()
                struck[name] += 1
                kept = unchanged(kept, out)
                ends_or_goes_on(process, out, name, study)
            kept = unchanged(kept, out)
            if process.poll() is None:
                kill(process)
            elif is_done(out):
                break
    finally:
        if process is not None:
            kill(process)
    return struck


def records(out):
    return list(out.glob("faulty/*/cells/*.json"))


def wait_for_some_work(out, process, more_s):
    """Until a driver has finished a cell, and a moment more: also its start is struck at times."""
    before, deadline = len(records(out)), time.monotonic() + HANG_S
    while process.poll() is None and len(records(out)) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(more_s / 3)


def ends_or_goes_on(process, out, name, study):
    """A driver that was struck says its end or finishes cells: it does not wait for ever."""
    before, deadline = len(records(out)), time.monotonic() + HANG_S
    while process.poll() is None and len(records(out)) == before:
        said = (study.parent / "output").read_text()
        assert time.monotonic() < deadline, f"it hangs after: {name}\n{said}"
        time.sleep(0.1)
    if process.poll() is not None and name != "driver SIGKILL":
        said = (study.parent / "output").read_text()
        assert "Traceback" not in said, said
        assert "--resume" in said or is_done(out), said


def is_done(out):
    return any(out.glob("faulty/*/summary.json"))


def unchanged(kept, out):
    """What is finished stays as it is."""
    if not records(out):
        return kept
    now = {record.id: record.finished_at for record in cells(only_run(out))}
    assert kept.items() <= now.items(), "a finished cell was lost or ran again"
    return now
