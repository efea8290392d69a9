"""Training losses and speed between two reports."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lrray.training.distributed import Workers
from lrray.training.errors import require_finite


class Meter:
    """Collects each step's loss on the device and looks at them together, at a report.

    Reading a loss at once would make the CPU wait for a GPU at every step.

    Args:
        workers: losses are means over all of them; they must call every method together.
        pending_nats: losses since the last report of the part of the run before a checkpoint.
    """

    def __init__(self, workers: Workers, pending_nats: list[float]) -> None:
        self._workers = workers
        self._earlier = pending_nats
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._window_s, self._total_s = 0.0, 0.0
        self._mark = time.perf_counter()

    def add(self, loss: Tensor, grad_norm: Tensor | None) -> None:
        """Takes one step's loss in nats and gradient norm."""
        self._losses.append(loss)
        if grad_norm is not None:
            self._norms.append(grad_norm)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves what happens inside (evaluation, checkpoints) out of the training time."""
        self._lap()
        yield
        self._mark = time.perf_counter()

    def pending_nats(self, step: int) -> list[float]:
        """Losses since the last report, means over workers.

        Raises:
            TrainingDiverged: one of them, or a gradient norm, is not finite; ``step`` is the
                number of steps done, so that the message names the right one.
        """
        losses, _ = self._checked(step)
        return self._earlier + losses

    def report(self, step: int, step_tokens: int, wait_s: float) -> dict[str, Any]:
        """Sums up the steps since the last report and begins anew.

        Args:
            step: steps done.
            step_tokens: tokens of one step over all workers.
            wait_s: seconds that this worker has waited for data since it began.

        Raises:
            TrainingDiverged: as :meth:`pending_nats`.
        """
        new, norms = self._checked(step)
        losses = self._earlier + new
        self._lap()
        tokens = step_tokens * len(self._losses)
        metrics: dict[str, Any] = {
            "train_loss_bits": math.fsum(losses) / len(losses) / math.log(2),
            "tokens_per_s": tokens / self._window_s,
            "data_wait_share": self._mean(wait_s / self._total_s),
        }
        if norms:
            metrics["grad_norm"] = norms[-1]
        self._earlier, self._losses, self._norms, self._window_s = [], [], [], 0.0
        return metrics

    def _checked(self, step: int) -> tuple[list[float], list[float]]:
        """Losses and gradient norms since the last report; refuses the first one not finite."""
        losses: list[float] = []
        if self._losses:
            losses = self._workers.mean(torch.stack(self._losses)).tolist()
        norms: list[float] = torch.stack(self._norms).tolist() if self._norms else []
        for number, loss in enumerate(losses):
            at = step - len(losses) + number + 1
            require_finite(at, loss, "training loss")
            if norms:
                require_finite(at, norms[number], "gradient norm")
        return losses, norms

    def _mean(self, value: float) -> float:
        return float(self._workers.mean(torch.tensor(value, device=self._workers.device)))

    def _lap(self) -> None:
        now = time.perf_counter()
        self._window_s += now - self._mark
        self._total_s += now - self._mark
        self._mark = now
