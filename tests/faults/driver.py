"""Drives ``lrray study`` as a user's process of its own, to be killed at will."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import yaml

from lrray.results.run import Run

ROOT = Path(__file__).parents[2]

PATIENCE_S = 300

address = "local"
"""Cluster that drivers join; set for the whole session."""


def write_study(folder, function, grid, settings=None, **more):
    """Writes ``study.yaml`` of kind function over ``tests.faults.cells``; returns its path."""
    study = {
        "kind": "function",
        "question": "Does it survive?",
        "hypothesis": "It does.",
        "function": f"tests.faults.cells:{function}",
        "settings": settings or {},
        "grid": grid,
        **more,
    }
    path = Path(folder) / "faulty.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def start(study, out, *options, output=None):
    """Starts the command in a process group of its own; its output goes to a pipe or a file."""
    command = [sys.executable, "-m", "lrray.study", str(study), "--out", str(out)]
    command += ["--address", address, *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=output.open("w") if output else subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def finish(study, out, *options, timeout=240):
    """Runs the command to its end; returns exit code and output."""
    process = start(study, out, *options)
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        kill(process)
    return process.returncode, output


def kill(process):
    """Kills the driver and every process below it, as a crash of the machine would."""
    try:
        family = [
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        ]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    process.wait()


def below(pid, name):
    """Processes below one: Ray's ``raylet`` or ``gcs_server``, or its ``workers`` of any kind."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if command.startswith("ray::") if name == "workers" else process.name() == name:
                found.append(process)
    return found


def happens(condition, within_s, process=None):
    """Whether a condition comes true in time, while the process that is to bring it about lives."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert process is None or process.poll() is None, process.stdout.read()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def wait_for(condition, process=None, within_s=PATIENCE_S):
    """Returns when a condition is true."""
    assert happens(condition, within_s, process), "nothing happened"


def begun(log):
    """Cell, first step and process of every try of a ``checkpointed`` cell."""
    return [tuple(map(int, line.split())) for line in log.read_text().splitlines()]


def only_run(out):
    """The folder of the only run."""
    (run,) = [path.parent for path in Path(out).glob("faulty/*/study.yaml")]
    return run


def cells(run):
    """Records of finished cells."""
    return list(Run(Path(run)).records())


def table(run):
    """The final table without what differs from run to run."""
    return pd.read_csv(Path(run) / "cells.csv").drop(columns="seconds")
