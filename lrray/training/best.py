"""The best of a run's steps.

With finite data, which can be learnt by heart, a validation set chooses: the held-out set's own
smallest loss over steps would be too small. With infinite data there is no such turn to find, and
the held-out loss itself chooses.
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
    """The evaluated step with the smallest loss on what chooses, the first of several."""

    step: int
    """Optimizer steps done."""
    chosen_by_bits: float
    """That loss."""
    outcomes: Mapping[str, float]
    """On the held-out set."""

    @classmethod
    def better(
        cls, known: BestStep | None, step: int, chosen_by_bits: float, found: Evaluation
    ) -> BestStep:
        """The one so far or that of an evaluation just made."""
        if known is not None and known.chosen_by_bits <= chosen_by_bits:
            return known
        metrics = found.metrics()
        outcomes = {name: metrics[name] for name in _OUTCOMES if name in metrics}
        return cls(step, chosen_by_bits, outcomes)

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
