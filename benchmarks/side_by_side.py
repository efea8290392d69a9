"""Training cells on CPUs: one thread each side by side, or one at a time with all threads.

Both take short turns on the same models, in processes that stay, so that imports and start-up are
in neither. What counts is steps per second of all cells together. It takes about four minutes and
wants a machine with nothing else to do: ``python -m benchmarks side_by_side``.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.table import row, show
from lrray.gssm.checks import default_threads

HIDDEN, LENGTHS = (16, 32, 64, 128), (64, 128, 512)
TOKENS_PER_STEP = 4096
NUM_TURNS, TURN_S = 3, 2.0
CELL_STEPS = 600
"""Steps of the cells that are counted per hour, as many as `latents scale=small` has."""


def measure() -> list[dict[str, Any]]:
    """A row per model size and length: side by side over one after the other."""
    cores = default_threads()
    with ExitStack() as stack:
        children = [_Child(stack) for _ in range(cores)]
        return [_row(children, hidden, length) for length in LENGTHS for hidden in HIDDEN]


def _row(children: list[_Child], hidden: int, length: int) -> dict[str, Any]:
    cores, ratios, rates = len(children), [], []
    for _ in range(NUM_TURNS):
        side_by_side = _steps_per_s(children, hidden, length, threads=1)
        in_turn = _steps_per_s(children[:1], hidden, length, threads=cores)
        ratios.append(side_by_side / in_turn)
        rates.append((side_by_side, in_turn))
    per_hour = [statistics.median(own) * 3600 / CELL_STEPS for own in zip(*rates, strict=True)]
    note = (
        f"{per_hour[0]:,.0f} against {per_hour[1]:,.0f} cells of {CELL_STEPS} steps an hour; "
        f"median of {NUM_TURNS} turns, {min(ratios):.2f} to {max(ratios):.2f}"
    )
    name = f"hidden {hidden}, {length} tokens: {cores} cells of 1 thread over 1 of {cores}"
    return row(name, statistics.median(ratios), "x", ">= 1", note)


def _steps_per_s(children: list[_Child], hidden: int, length: int, threads: int) -> float:
    """Of all children together, which begin at once."""
    for child in children:
        child.pipe.send((hidden, length, threads))
    for child in children:
        child.pipe.recv()  # its model is there and warm
    for child in children:
        child.pipe.send(TURN_S)
    return sum(float(child.pipe.recv()) for child in children)


class _Child:
    """A process that trains what it is told to; ends with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, its_end = context.Pipe()
        process = context.Process(target=_train, args=(its_end,), daemon=True)
        process.start()
        stack.callback(process.join)
        stack.callback(self.pipe.send, None)


def _train(pipe: Connection) -> None:
    """Trains the model of each message for the seconds of the next."""
    import torch

    from lrray.models import ModelConfig
    from lrray.models.build import build_model
    from lrray.training import TrainConfig
    from lrray.training.distributed import ALONE
    from lrray.training.learner import Learner

    while (told := pipe.recv()) is not None:
        hidden, length, threads = told
        torch.set_num_threads(threads)
        batch = TOKENS_PER_STEP // length
        config = TrainConfig(steps=10**6, batch_size=batch, seq_len=length, device="cpu")
        model = ModelConfig(hidden_size=hidden, num_hidden_layers=2, num_attention_heads=4)
        learner = Learner(build_model(model, 32, length, seed=0), config, ALONE)
        tokens = torch.randint(0, 32, (batch, length), generator=torch.Generator().manual_seed(0))
        for number in range(3):
            learner.step(tokens, number)
        pipe.send("ready")
        end = time.perf_counter() + pipe.recv()
        began, count = time.perf_counter(), 0
        while time.perf_counter() < end:
            learner.step(tokens, 3 + count)
            count += 1
        pipe.send(count / (time.perf_counter() - began))


if __name__ == "__main__":
    show(measure(), "side by side")
