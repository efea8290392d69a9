"""What can go wrong during a run rather than before it."""

from __future__ import annotations

import math

from lrray.errors import LrrayError


class TrainingDiverged(LrrayError):
    """A loss, the gradient or the weights are no finite numbers any more.

    Args:
        step: the first step, counted from 1, where that is so.
        value: the number.
        what: what it is.
    """

    exit_code = 1

    def __init__(self, step: int, value: float, what: str = "training loss") -> None:
        self.step, self.value = step, value
        super().__init__(
            f"step {step}",
            f"the {what} must be finite",
            got=value,
            fix="lower learning_rate, add warmup_steps or set max_grad_norm",
        )


def require_finite(step: int, value: float, what: str) -> None:
    """Raises :class:`TrainingDiverged` unless ``value`` is finite."""
    if not math.isfinite(value):
        raise TrainingDiverged(step, value, what)
