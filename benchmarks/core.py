"""The core's speed: sampling and exact likelihood beside straightforward NumPy.

What is compared takes turns and the best turn counts, since other work on the machine only ever
slows a turn. Run with ``python -m benchmarks.core``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.baselines import dense_nll, sample_loop
from benchmarks.table import row, show
from lrray.gssm import GSSM
from lrray.gssm.checks import default_threads

NUM_TURNS = 15

# latents, states each, tokens; sequences and their length for the likelihood
SHAPES = [
    (1, 64, 32, 64, 512),
    (2, 16, 32, 64, 256),
    (8, 2, 32, 64, 512),
    (1, 256, 32, 32, 64),
    (8, 4, 64, 32, 16),
]


def measure() -> list[dict[str, Any]]:
    """Rows of the published 4x4 graph with their goals, then of other shapes, then memory."""
    rows = _sampling_rows() + _likelihood_rows()
    for shape in SHAPES:
        rows += _shape_rows(*shape)
    return [*rows, _memory_row()]


def graph(latents: int, states: int, tokens: int) -> GSSM:
    """The published shape: fullrank latents that each see the previous token; seed 42."""
    names = [f"Z{i + 1}" for i in range(latents)]
    nodes: list[dict[str, Any]] = [
        {"name": name, "state_dim": states, "alpha": 0.142, "parents": ["X"],
         "kernel_type": "fullrank"}
        for name in names
    ]  # fmt: skip
    nodes.append(
        {"name": "X", "state_dim": tokens, "alpha": 1e-3, "parents": names,
         "kernel_type": "fullrank", "observed": True}
    )  # fmt: skip
    return GSSM.from_config({"nodes": nodes}, seed=42)


def best_rates(*works: tuple[int, Callable[[], object]]) -> list[float]:
    """Tokens per second of each ``(tokens, work)`` in its best turn; the first one warms up."""
    best = [float("inf")] * len(works)
    for turn in range(NUM_TURNS + 1):
        for i, (_, work) in enumerate(works):
            begin = time.perf_counter()
            work()
            if turn:
                best[i] = min(best[i], time.perf_counter() - begin)
    return [tokens / seconds for (tokens, _), seconds in zip(works, best, strict=True)]


def _sampling_rows() -> list[dict[str, Any]]:
    gssm, rng = graph(4, 4, 32), np.random.default_rng(0)
    ours, one_thread, loop = best_rates(
        (1024 * 2048, lambda: gssm.sample(1024, 2048)),
        (512 * 2048, lambda: gssm.sample(512, 2048, num_threads=1)),
        (1024 * 64, lambda: sample_loop(gssm, 1024, 64, rng)),
    )
    return [
        row("sampling 4x4: speed", ours, "tokens/s", ">= 40,000,000", _threads()),
        row("sampling 4x4: speed, 1 thread", one_thread, "tokens/s"),
        row("sampling 4x4: over a NumPy loop", ours / loop, "x", ">= 30",
            f"the loop: {loop:,.0f} tokens/s"),
        row("sampling 4x4: over a NumPy loop, 1 thread", one_thread / loop, "x"),
    ]  # fmt: skip


def _likelihood_rows() -> list[dict[str, Any]]:
    gssm = graph(4, 4, 32)
    tokens = gssm.sample(128, 256)
    ours, one_thread, alone, single, dense = best_rates(
        (tokens.size, lambda: gssm.nll(tokens)),
        (tokens[:64].size, lambda: gssm.nll(tokens[:64], num_threads=1)),
        (tokens[0].size, lambda: gssm.nll(tokens[:1])),
        (tokens.size, lambda: gssm.nll(tokens, dtype="float32")),
        (8 * 16, lambda: dense_nll(gssm, tokens[:8, :16])),
    )
    return [
        row("likelihood 4x4: speed", ours, "tokens/s", ">= 500,000", f"float64, {_threads()}"),
        row("likelihood 4x4: speed, 1 thread", one_thread, "tokens/s"),
        row("likelihood 4x4: speed of one sequence alone", alone, "tokens/s"),
        row("likelihood 4x4: speed in float32", single, "tokens/s", "", _threads()),
        row("likelihood 4x4: over dense log-sum-exp", ours / dense, "x", ">= 200",
            f"dense: {dense:,.0f} tokens/s"),
    ]  # fmt: skip


def _shape_rows(
    latents: int, states: int, vocabulary: int, num_sequences: int, seq_len: int
) -> list[dict[str, Any]]:
    gssm = graph(latents, states, vocabulary)
    tokens = gssm.sample(num_sequences, seq_len)
    sampling, likelihood, alone = best_rates(
        (256 * 2048, lambda: gssm.sample(256, 2048)),
        (tokens.size, lambda: gssm.nll(tokens)),
        (tokens[0].size, lambda: gssm.nll(tokens[:1])),
    )
    name, note = f"{latents}x{states}", f"{states**latents:,} joint states, {vocabulary} tokens"
    return [
        row(f"sampling {name}: speed", sampling, "tokens/s", "", note),
        row(f"likelihood {name}: speed", likelihood, "tokens/s", "", note),
        row(f"likelihood {name}: speed of one sequence alone", alone, "tokens/s", "", note),
    ]


_SCORE_LARGE = """
from benchmarks.core import graph
from benchmarks.memory import peak_gb
gssm = graph(8, 4, 64)
gssm.nll(gssm.sample(64, 8))
print(peak_gb())
"""


def _memory_row() -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-c", _SCORE_LARGE], capture_output=True, text=True, check=True
    )
    note = "whole process, 65,536 joint states"
    return row("likelihood 8x4: peak memory", float(run.stdout), "GB", "< 4", note)


def _threads() -> str:
    return f"{default_threads()} threads"


if __name__ == "__main__":
    show(measure(), "GSSM core")
