"""A function that takes every option of a search."""

from __future__ import annotations

from typing import Any


def descend(rate: float, steps: int, seed: int, context: Any) -> dict[str, float]:
    loss = 1.0
    for step in range(steps):
        loss *= 1 - rate
        context.log({"step": step, "loss": loss})
    return {"loss": loss + 0.001 * seed}
