"""The best of a run's steps, chosen on sequences of its own.

The held-out set must not choose: its smallest loss over steps would be too small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lrray.training.evaluate import Evaluation

_OUTCOMES = (
    "loss_bits", "excess_bits", "excess_bits_se", "late_loss_bits", "share_captured",
    "share_beyond_trigram", "kl_bits", "kl_bits_se",
)  # fmt: skip
"""What is kept of its evaluation."""


@dataclass(frozen=True)
class BestStep:
    """The evaluated step with the smallest loss on the validation set, the first of several."""

    step: int
    """Optimizer steps done."""
    validation_loss_bits: float
    outcomes: Mapping[str, float]
    """On the held-out set."""

    @classmethod
    def better(
        cls, known: BestStep | None, step: int, validation_loss_bits: float, found: Evaluation
    ) -> BestStep:
        """The one so far or that of an evaluation just made."""
        if known is not None and known.validation_loss_bits <= validation_loss_bits:
            return known
        metrics = found.metrics()
        outcomes = {name: metrics[name] for name in _OUTCOMES if name in metrics}
        return cls(step, validation_loss_bits, outcomes)

    @classmethod
    def restored(cls, state: Any) -> BestStep | None:
        """What :meth:`state` gave to a checkpoint; None where it holds none."""
        names = {field.name for field in fields(cls)}
        return cls(**state) if isinstance(state, dict) and state.keys() == names else None

    def state(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """Its numbers, each under ``best_…``."""
        return {"best_step": self.step} | {f"best_{k}": v for k, v in self.outcomes.items()}
