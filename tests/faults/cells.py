"""Functions that the fault tests run as cells; each really does what its name says."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def counted(i, log, seconds=0.05):
    """Appends a line per run, so that a cell that ran twice shows.

    A file ``log.allowed`` with a number keeps cells from that number on waiting.
    """
    allowed = Path(f"{log}.allowed")
    while allowed.exists() and i >= int(allowed.read_text() or 0):
        time.sleep(0.05)
    time.sleep(seconds)
    with Path(log).open("a") as file:
        file.write(f"{i}\n")
    return {"square": float(i * i)}


def checkpointed(i, log, context=None, steps=30):
    """Counts steps in its checkpoint and its curve; logs the step it began at, and its process.

    Stays at step 10 while there is a file ``log.hold``, so that tests can be slow.
    """
    context.checkpoint.mkdir(parents=True, exist_ok=True)
    place, hold = context.checkpoint / "step", Path(f"{log}.hold")
    begun = int(place.read_text()) if place.exists() else 0
    with Path(log).open("a") as file:
        file.write(f"{i} {begun} {os.getpid()}\n")
    for step in range(begun, steps):
        time.sleep(0.1)
        while step >= 10 and hold.exists():
            time.sleep(0.1)
        context.log({"step": step + 1, "value": float(step)})
        temporary = place.with_suffix(".new")
        temporary.write_text(str(step + 1))
        temporary.replace(place)
    return {"steps": float(steps)}


def raises(i):
    """Raises for i = 2."""
    if i == 2:
        raise RuntimeError("two is not allowed")
    return {"value": float(i)}


def flaky(i, log):
    """Raises the first time."""
    path = Path(f"{log}.{i}")
    if not path.exists():
        path.touch()
        raise RuntimeError("not yet")
    return {"value": float(i)}


def diverges(i):
    """Returns NaN for i = 2."""
    return {"loss": float("nan") if i == 2 else 1.0}


def fills_a_disk(i, room):
    """Finds the disk full for i = 2, until there is a file ``room``."""
    if i == 2 and not Path(room).exists():
        Path("/dev/full").write_text("x")
    return {"value": float(i)}


def hangs(i):
    """Never ends for i = 2."""
    while i == 2:
        time.sleep(0.1)
    return {"value": float(i)}


def eats_memory(i):
    """Takes ever more memory for i = 2."""
    taken = []
    while i == 2:
        taken.append(bytearray(20_000_000))
        time.sleep(0.02)
    return {"value": float(i)}


def eats_memory_once(i, log):
    """Takes 3 GB where no more than two workers have begun."""
    with Path(log).open("a+") as file:
        file.write("begun\n")
        file.flush()
        file.seek(0)
        first = len(file.readlines()) <= 2
    taken = []
    for _ in range(150 if first else 0):
        taken.append(bytearray(20_000_000))
        time.sleep(0.02)
    return {"value": float(i)}


def kills_itself(i, log):
    """Its process dies by SIGKILL the first time, for i = 2."""
    path = Path(f"{log}.{i}")
    if i == 2 and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": float(i)}


def always_kills_itself(i):
    """Its process dies by SIGKILL every time, for i = 2."""
    if i == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": float(i)}


def slow_curve(x, steps, offset=0, context=None):
    """Logs a loss that falls to (x - 1)**2 + offset."""
    for step in range(1, steps + 1):
        time.sleep(0.05)
        context.log({"step": step, "loss": offset + (x - 1) ** 2 + 1 / step})
    return {"loss": offset + (x - 1) ** 2}


def logs_and_waits(i, release, context=None):
    """Logs one point, then stays until the file ``release`` appears."""
    context.log({"step": 1, "loss": 0.25 + i})
    while not Path(release).exists():
        time.sleep(0.1)
    return {"loss": 0.25 + i}


def spoils_its_worker(i):
    """Leaves by KeyboardInterrupt and SystemExit for i = 2 and 3; all mind what they find."""
    folder = Path.cwd()
    if not folder.is_dir() or "LRRAY_SPOILED" in os.environ:
        raise RuntimeError("spoiled by the cell before")
    os.environ["LRRAY_SPOILED"] = "1"
    gone = Path(tempfile.mkdtemp())
    os.chdir(gone)
    gone.rmdir()
    if i == 2:
        raise KeyboardInterrupt
    if i == 3:
        sys.exit(3)
    return {"value": float(i)}


def mixed(i, log, context=None):
    """By its number: quick, in steps with a checkpoint, raising, with a child, with much to say."""
    _note(log, i, "begins")
    kind = i % 5
    if kind == 1:
        _steps(context)
    elif kind == 2 and i % 2:
        raise RuntimeError(f"{i} is not allowed")
    elif kind == 3:
        subprocess.run(["sleep", "0.5"], check=True)
    elif kind == 4:
        print("much to say\n" * 10_000, flush=True)
        time.sleep(0.3)
    _note(log, i, "ends")
    return {"square": float(i * i)}


def _steps(context):
    context.checkpoint.mkdir(parents=True, exist_ok=True)
    place = context.checkpoint / "step"
    for step in range(int(place.read_text()) if place.exists() else 0, 15):
        time.sleep(0.1)
        context.log({"step": step + 1, "value": float(step)})
        temporary = place.with_suffix(".new")
        temporary.write_text(str(step + 1))
        temporary.replace(place)


def _note(log, i, what):
    with Path(log).open("a") as file:
        file.write(json.dumps({"i": i, "what": what}) + "\n")
