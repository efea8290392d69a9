"""The difficulty study: what a kernel draw costs, how fast a contour is found, what Tune adds.

Run with ``python -m benchmarks.difficulty``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from benchmarks.contours import median_errors
from benchmarks.table import row, show
from lrray.config import parse
from lrray.difficulty.compressors import DIFFICULTY_LEVEL, gzip_difficulty
from lrray.difficulty.estimate import CHEAP_LEVEL
from lrray.difficulty.two_level import HANDFUL, contributions, num_exact
from lrray.gssm import GSSM, GraphConfig
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.studies.load import read_study

NUM_TURNS = 7
SEEDS = range(9)
NUM_TRIALS = 32
"""Trials of the default study; the others are asked when they reach its contour error."""
NUM_DRAWS = 400
ENDS = {"easy to infer": (0.001, 0.1335), "easy to predict": (0.053, 0.001)}
COUNTS = (12, 16, 24, NUM_TRIALS, 48, 64, 96, 128, 192)


def measure() -> list[dict[str, Any]]:
    """All rows."""
    return [*_draw_rows(), *_coverage_rows(), *_contour_rows(), *_study_rows()]


def _draw_rows() -> list[dict[str, Any]]:
    """One kernel draw of the default study on one core, in the middle of the search space."""
    data, path = read_study("difficulty")
    study = parse(DifficultyStudy, data, str(path))
    size = study.size()
    graph: GraphConfig = study.graph.with_alphas(0.03, 0.03)
    gssm = GSSM(graph, 0)
    tokens = gssm.sample(size.primer_sequences + size.sequences, size.seq_len, num_threads=1)
    primer, scored = tokens[: size.primer_sequences], tokens[size.primer_sequences :]
    parts: dict[str, Callable[[], object]] = {
        "kernels": lambda: GSSM(graph, 1).tables,
        "sampling": lambda: gssm.sample(len(tokens), size.seq_len, num_threads=1),
        "zlib, level 6": lambda: gzip_difficulty(scored, primer=primer, level=CHEAP_LEVEL),
        "exact entropy of a sequence": lambda: gssm.nll(scored[:1], num_threads=1),
    }
    ms = {name: _best_ms(work) for name, work in parts.items()}
    whole = sum(ms.values())
    exact = _best_ms(lambda: gzip_difficulty(scored, primer=primer))
    note = f"{size.sequences} x {size.seq_len} tokens, 1 thread"
    rows = [row("kernel draw", whole, "ms", "", note)]
    rows.append(row("kernel draw: zlib, level 9", exact, "ms", "", "beside that, of some draws"))
    for name, value in ms.items():
        rows.append(row(f"kernel draw: {name}", value, "ms", "", f"{value / whole:.0%} of it"))
    return rows


def _coverage_rows() -> list[dict[str, Any]]:
    """Two-level estimates from 40 of 400 real draws, beside the mean of all at level 9."""
    data, path = read_study("difficulty")
    study = parse(DifficultyStudy, data, str(path))
    rows = []
    for end, alphas in ENDS.items():
        both = [_both_levels(study, alphas, seed) for seed in range(NUM_DRAWS)]
        cheap, exact = np.array(both).T
        rng, count = np.random.default_rng(0), len(study.seed_list)
        misses, errors = [], []
        for _ in range(4000):
            own = rng.permutation(NUM_DRAWS)[:count]
            known = exact[own]
            n = num_exact(cheap[own], known[:HANDFUL], 0.009, 0.07)
            values = contributions(cheap[own], known[:n])
            misses.append(values.mean() - exact.mean())
            errors.append(values.std(ddof=1) / np.sqrt(count))
        # Of a finite population: what a sample holds of it does not vary.
        wide = np.sqrt(1 - count / NUM_DRAWS) * t.ppf(0.975, count - 1) * np.array(errors)
        note = f"{end}: {count} of {NUM_DRAWS} draws, 4,000 times"
        share = float((np.abs(misses) <= wide).mean())
        rows.append(row("two-level interval covers the mean", share, "", "0.95", note))
        bias = float(np.mean(misses) / np.std(misses))
        rows.append(row("two-level bias over standard error", bias, "", "", note))
    return rows


def _both_levels(study: DifficultyStudy, alphas: tuple[float, float], seed: int) -> list[float]:
    """A draw's difficulty at level 6 and at level 9."""
    size = study.size()
    gssm = GSSM(study.graph.with_alphas(*alphas), seed)
    count = size.primer_sequences + size.sequences
    tokens = gssm.sample(count, size.seq_len, stream_seed=seed, num_threads=1)
    primer, data = tokens[: size.primer_sequences], tokens[size.primer_sequences :]
    return [gzip_difficulty(data, primer, level) for level in (CHEAP_LEVEL, DIFFICULTY_LEVEL)]


def _best_ms(work: Callable[[], object]) -> float:
    """Milliseconds of the best turn: other work on the machine only ever slows one."""
    best = float("inf")
    for _ in range(NUM_TURNS):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1e3


def _contour_rows() -> list[dict[str, Any]]:
    """Contour error by number of trials, and how many more the other samplers need."""
    errors = {
        sampler: median_errors(sampler, COUNTS, SEEDS)
        for sampler in ("level_set", "tpe", "random", "grid")
    }
    note = f"in difficulty, median of {len(SEEDS)} seeds"
    rows = []
    for count in (16, NUM_TRIALS, 64):
        for sampler, by_count in errors.items():
            rows.append(
                row(f"contour error, {count} trials: {sampler}", by_count[count], "", "", note)
            )
    aim = errors["level_set"][NUM_TRIALS]
    for sampler in ("tpe", "random", "grid"):
        needed = next((count for count in COUNTS if errors[sampler][count] <= aim), None)
        rows.append(
            row(
                f"trials for the same error: {sampler} over level_set",
                (needed or COUNTS[-1]) / NUM_TRIALS, "x", "> 1",
                f"{needed or f'more than {COUNTS[-1]}'} over {NUM_TRIALS}",
            )
        )  # fmt: skip
    return rows


def _study_rows() -> list[dict[str, Any]]:
    """A real run of the default study: its time, and the share that is not spent in cells."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "lrray.study", "difficulty", "--out", scratch]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        (folder,) = (Path(scratch) / "difficulty").iterdir()
        summary = json.loads((folder / "summary.json").read_text())
        cores = json.loads((folder / "provenance.json").read_text())["machine"]["cores"]
    overhead = 1 - summary["cell_seconds"] / (summary["wall_seconds"] * cores)
    worst = max(pair["difficulty_se"] for pair in summary["pairs"])
    miss = max(abs(pair["difficulty"] - summary["target"]["value"]) for pair in summary["pairs"])
    return [
        row("default study", seconds, "s", "<= 35", f"start of Python to table, {cores} cores"),
        row(
            "default study: overhead", overhead, "", "< 0.25", "1 - cell time / (wall time x cores)"
        ),
        row("default study: largest miss of a pair", miss, "bytes/token", "<= 0.01"),
        row("default study: largest standard error", worst, "bytes/token", "<= 0.002"),
    ]


if __name__ == "__main__":
    show(measure(), "difficulty")
