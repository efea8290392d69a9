"""What can go wrong during a run rather than before it."""

from __future__ import annotations

from lrray.errors import LrrayError


class TrainingDiverged(LrrayError):
    """The training loss or the gradient is no finite number any more.

    Args:
        step: the first step, counted from 1, where that is so.
        value: the loss, or the gradient's norm.
        what: which of the two.
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
