"""Cells per GPU-hour of tiny models: processes that share the device, and packed cells.

Processes wait for each other before they are timed, and each round uses more of them: starting one
takes longer than a round. As a script, it is one such process.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from benchmarks.gpu.device import DEVICE
from benchmarks.gpu.sizes import SIZES, Size
from benchmarks.table import row
from benchmarks.training import GRAPH
from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.training import TrainConfig
from lrray.training.learner import Learner
from lrray.training.loop import MakeLearner, train
from lrray.training.packing import Pack

BATCH_SIZE, SEQ_LEN = 32, 128
CELL_STEPS = 2000
"""Steps of a cell of the first look, in which cells per hour are given."""
GOAL = 5.0


def measure(size: Size) -> list[dict[str, Any]]:
    """A row per number of processes and per pack, and the gain of packing."""
    processes = _processes(size)
    packs = {number: _packed(number, size) for number in size.packs}
    best = max(processes.values())
    return [
        *(row(f"{n} processes", rate, "cells/hour", "", "") for n, rate in processes.items()),
        *(row(f"{n} cells packed", rate, "cells/hour", "", "") for n, rate in packs.items()),
        row("packed over the best of processes", max(packs.values()) / best, "x", f">= {GOAL:g}",
            f"cells of {CELL_STEPS} steps, {BATCH_SIZE} x {SEQ_LEN} tokens"),
    ]  # fmt: skip


def _cells_per_hour(num_cells: int, num_steps: int, seconds: float) -> float:
    return num_cells * num_steps / CELL_STEPS / seconds * 3600


def _train(seed: int, size: Size, steps: int, make_learner: MakeLearner = Learner) -> None:
    config = TrainConfig(
        steps=steps, batch_size=BATCH_SIZE, seq_len=SEQ_LEN, eval_sequences=2, data_seed=seed,
        model_seed=seed, log_every=max(1, steps // 4),
    )  # fmt: skip
    gssm, (hidden, layers) = GSSM.from_config(GRAPH, seed=42), size.cell_model
    settings = ModelConfig(hidden_size=hidden, num_hidden_layers=layers)
    model = build_model(settings, gssm.vocab_size, SEQ_LEN, seed)
    train(model, gssm, config, make_learner=make_learner)


def _processes(size: Size) -> dict[int, float]:
    """Cells per hour by number of processes."""
    name = next(name for name, one in SIZES.items() if asdict(one) == asdict(size))
    command = [sys.executable, "-m", "benchmarks.gpu.cells", name]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(max(size.num_processes))
    ]
    try:
        for worker in workers:
            _line(worker.stdout)
        return {number: _round(workers[:number], size) for number in size.num_processes}
    finally:
        for worker in workers:
            worker.kill()
            with suppress(subprocess.TimeoutExpired):
                worker.wait(10)


def _round(workers: list[subprocess.Popen[str]], size: Size) -> float:
    began = time.perf_counter()
    for seed, worker in enumerate(workers):
        assert worker.stdin is not None
        worker.stdin.write(f"{seed}\n")
        worker.stdin.flush()
    for worker in workers:
        _line(worker.stdout)
    return _cells_per_hour(len(workers), size.cell_steps, time.perf_counter() - began)


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    line = stream.readline()
    if not line:
        raise RuntimeError("a process that shares the device has ended")
    return line


def _packed(number: int, size: Size) -> float:
    pack = Pack(number)

    def member(seed: int) -> None:
        with pack.member():
            _train(seed, size, size.cell_steps, pack.learner)

    threads = [threading.Thread(target=member, args=(seed,)) for seed in range(number)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _cells_per_hour(number, size.cell_steps, time.perf_counter() - began)


def serve(size: Size) -> None:
    """Trains a cell for every line that comes, and says so."""
    _train(0, size, 2)
    print("ready", DEVICE, flush=True)
    for line in sys.stdin:
        _train(int(line), size, size.cell_steps)
        print("done", flush=True)


if __name__ == "__main__":
    serve(SIZES[sys.argv[1]])
