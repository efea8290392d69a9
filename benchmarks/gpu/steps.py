"""The steps, how long each may take, and one of them as a process (``benchmarks.gpu.steps``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.sizes import SIZES, Size

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """One part of the page."""

    measure: Callable[[Size], Rows]
    share: float
    """Of the whole time, at most."""


def _checks(size: Size) -> Rows:
    from benchmarks.gpu.checks import measure

    return measure(size)


def _training(size: Size) -> Rows:
    from benchmarks.gpu.training import measure

    return measure(size)


def _cells(size: Size) -> Rows:
    from benchmarks.gpu.cells import measure

    return measure(size)


def _likelihood(size: Size) -> Rows:
    from benchmarks.gpu.likelihood import measure

    return measure(size)


def _twohop(size: Size, model: str) -> Rows:
    from benchmarks.gpu.twohop import measure

    return measure(size, model)


def steps(size: Size) -> dict[str, Step]:
    """By name, the quickest answers first."""
    llamas = {name: Step(partial(_twohop, model=name), 0.2) for name in size.llamas}
    return {
        "checks": Step(_checks, 0.25),
        "cells": Step(_cells, 0.2),
        "likelihood": Step(_likelihood, 0.1),
        **{f"twohop {name}": step for name, step in llamas.items()},
        "training": Step(_training, 0.22),
    }


if __name__ == "__main__":
    name, size, out = sys.argv[1:]
    found = steps(SIZES[size])[name].measure(SIZES[size])
    Path(out).write_text(json.dumps(found))
