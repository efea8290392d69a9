"""A cell leaves its worker as it found it."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from lrray.execution.isolation import isolated
from lrray.studies.cell import Cell
from tests.waiting import comes_true

CELL = Cell("function", {}, {}, "c0de")


def goes_elsewhere(place: Path) -> None:
    gone = place / "gone"
    gone.mkdir()
    os.chdir(gone)
    shutil.rmtree(gone)


def changes_the_environment(place: Path) -> None:
    os.environ["LRRAY_TEST_LEFT"] = "1"
    del os.environ["PATH"]


def changes_the_path(place: Path) -> None:
    sys.path.insert(0, str(place))


def changes_the_umask(place: Path) -> None:
    os.umask(0o777)


def handles_signals(place: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def replaces_its_output(place: Path) -> None:
    sys.stdout = (place / "out").open("w")


def lowers_a_limit(place: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))


def changes_arithmetic(place: Path) -> None:
    np.seterr(all="raise")
    torch.set_default_dtype(torch.float64)


def state() -> tuple[object, ...]:
    umask = os.umask(0o022)
    os.umask(umask)
    handler = signal.getsignal(signal.SIGTERM)
    limit, arithmetic = resource.getrlimit(resource.RLIMIT_NOFILE), np.geterr()
    return (
        Path.cwd(), dict(os.environ), list(sys.path), umask, handler, sys.stdout, limit, arithmetic,
        torch.get_default_dtype(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "act",
    [goes_elsewhere, changes_the_environment, changes_the_path, changes_the_umask,
     handles_signals, replaces_its_output, lowers_a_limit, changes_arithmetic],
)  # fmt: skip
@pytest.mark.parametrize("fails", [False, True])
def test_what_a_cell_changes_is_as_before(
    tmp_path: Path, act: Callable[[Path], None], fails: bool
) -> None:
    before = state()

    def run(cell: Cell) -> str:
        act(tmp_path)
        if fails:
            raise ValueError
        return cell.id

    if fails:
        with pytest.raises(ValueError):
            isolated(run)(CELL)
    else:
        assert isolated(run)(CELL) == CELL.id
    assert state() == before


def test_a_cell_that_closes_its_output_leaves_one_to_write_to() -> None:
    code = (
        "import os, sys\n"
        "from lrray.execution.isolation import isolated\n"
        "isolated(lambda cell: (sys.stdout.close(), os.close(2)))(None)\n"
        "print('out')\n"
        "print('err', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_a_seed_that_one_cell_sets_is_not_the_next_ones() -> None:
    def run(cell: Cell) -> None:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)

    drawn = set()
    for _ in range(3):
        isolated(run)(CELL)
        drawn |= {random.random(), float(np.random.rand()), float(torch.rand(1))}  # noqa: NPY002
    assert len(drawn) == 9


def test_children_that_a_cell_leaves_end_and_earlier_ones_live() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    earlier = subprocess.Popen(sleep)
    left: list[psutil.Process] = []
    try:
        isolated(lambda cell: left.append(psutil.Process(subprocess.Popen(sleep).pid)))(CELL)
        assert comes_true(lambda: left[0].status() == psutil.STATUS_ZOMBIE)
        assert earlier.poll() is None
    finally:
        earlier.kill()
        earlier.wait()
        left[0].wait()
