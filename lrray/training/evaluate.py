"""How good a model is on the held-out set, in bits per predicted token.

Axis letters: N sequence, T token; the T - 1 predicted tokens are all but the begin token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from lrray.training.distributed import Workers
from lrray.training.heldout import Heldout

_BITS_PER_NAT = 1 / math.log(2)

LEAST_LEFT_BITS = 0.01
"""Information of which a share is given: of less it would be noise."""


@dataclass(frozen=True)
class Evaluation:
    """Losses on the held-out set; the bound is none for a graph without an exact likelihood."""

    loss_bits: float
    """The model's mean loss."""
    accuracy: float
    """Share of tokens that the model thinks likeliest."""
    loss_by_position_bits: NDArray[np.float64]
    """``[T - 1]``: mean loss of the first, second, … predicted token."""
    bound_bits: float | None = None
    """Mean exact NLL of the same tokens."""
    excess_bits: float | None = None
    """Loss minus bound: an estimate of the KL divergence from the data's law to the model."""
    excess_bits_se: float | None = None
    """Standard error of the excess over sequences, paired: the data's own noise cancels."""
    bound_by_position_bits: NDArray[np.float64] | None = None
    """``[T - 1]``."""
    ngram_bits: Mapping[int, float] = field(default_factory=dict)
    """Order -> mean loss of the exact table of n-grams on the same tokens."""

    @property
    def late_loss_bits(self) -> float:
        """Mean loss in the last tenth of positions, at least one."""
        last = max(1, len(self.loss_by_position_bits) // 10)
        return float(self.loss_by_position_bits[-last:].mean())

    @property
    def share_captured(self) -> float | None:
        """Share of the information beyond token frequencies that the model captures."""
        return self._share_beyond(0)

    @property
    def share_beyond_trigram(self) -> float | None:
        """Share of what trigrams leave; at or below 0 nothing is shown that a table cannot do."""
        return self._share_beyond(2)

    def _share_beyond(self, order: int) -> float | None:
        """(table's loss - loss) / (table's loss - bound); none where the table leaves nothing."""
        table, bound = self.ngram_bits.get(order), self.bound_bits
        if table is None or bound is None or table - bound < LEAST_LEFT_BITS:
            return None
        return (table - self.loss_bits) / (table - bound)

    def metrics(self) -> dict[str, Any]:
        """Plain data to report; positions pooled as by :func:`by_octave`."""
        scalars = {
            "loss_bits": self.loss_bits,
            "accuracy": self.accuracy,
            "bound_bits": self.bound_bits,
            "excess_bits": self.excess_bits,
            "excess_bits_se": self.excess_bits_se,
            "late_loss_bits": self.late_loss_bits,
            "unigram_bits": self.ngram_bits.get(0),
            "trigram_bits": self.ngram_bits.get(2),
            "share_captured": self.share_captured,
            "share_beyond_trigram": self.share_beyond_trigram,
        }
        result: dict[str, Any] = {k: v for k, v in scalars.items() if v is not None}
        result["loss_by_position_bits"] = by_octave(self.loss_by_position_bits)
        if self.bound_by_position_bits is not None:
            result["bound_by_position_bits"] = by_octave(self.bound_by_position_bits)
        return result


def by_octave(values: NDArray[np.float64]) -> dict[str, float]:
    """Means over positions 1, 2–3, 4–7, … by their label; ``values`` ``[T - 1]``."""
    result, low = {}, 1
    while low <= len(values):
        high = min(2 * low - 1, len(values))
        label = str(low) if low == high else f"{low}-{high}"
        result[label] = float(values[low - 1 : high].mean())
        low = 2 * low
    return result


def evaluate(
    model: nn.Module,
    heldout: Heldout,
    workers: Workers,
    batch_size: int,
    bf16: bool = False,
) -> Evaluation:
    """Scores the model on the held-out set, shared out evenly among the workers.

    Args:
        model: tokens ``[B, T]`` to logits ``[B, T, V]``, on the workers' device.
        heldout: a number of sequences that the number of workers divides.
        workers: all of them must call this together.
        batch_size: most sequences in one forward pass.
        bf16: whether to compute under bf16 autocast.
    """
    num_rows = len(heldout.tokens) // workers.world_size
    first = workers.rank * num_rows
    loss = torch.zeros(len(heldout.tokens), heldout.tokens.shape[1] - 1, dtype=torch.float64)
    hits = torch.zeros_like(loss)
    own = slice(first, first + num_rows)
    loss[own], hits[own] = score(model, heldout.tokens[own], workers.device, batch_size, bf16)
    both = workers.sum(torch.stack([loss, hits]).to(workers.device)).cpu().numpy()
    return _summarise(both[0] * _BITS_PER_NAT, both[1], heldout)


def score(
    model: nn.Module,
    tokens: NDArray[Any],
    device: torch.device,
    batch_size: int,
    bf16: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss in nats and whether the likeliest token was right, each ``[N, T - 1]`` on the CPU."""
    losses, hits = [], []
    was_training = model.training
    model.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for start in range(0, len(tokens), batch_size):
            batch = torch.from_numpy(tokens[start : start + batch_size].astype(np.int64))
            batch = batch.to(device)
            logits = model(batch[:, :-1]).float()
            losses.append(cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none"))
            hits.append(logits.argmax(dim=-1) == batch[:, 1:])
    model.train(was_training)
    return torch.cat(losses).double().cpu(), torch.cat(hits).double().cpu()


def _summarise(
    loss_bits: NDArray[np.float64], hits: NDArray[np.float64], heldout: Heldout
) -> Evaluation:
    measured = {
        "loss_bits": float(loss_bits.mean()),
        "accuracy": float(hits.mean()),
        "loss_by_position_bits": loss_bits.mean(axis=0),
    }
    if heldout.bound_nats is None:
        return Evaluation(**measured)
    bound_bits = heldout.bound_nats * _BITS_PER_NAT
    per_sequence = (loss_bits - bound_bits).mean(axis=1)
    return Evaluation(
        **measured,
        bound_bits=float(bound_bits.mean()),
        excess_bits=float(per_sequence.mean()),
        excess_bits_se=float(per_sequence.std(ddof=1) / math.sqrt(len(per_sequence))),
        bound_by_position_bits=bound_bits.mean(axis=0),
        ngram_bits={n: nats * _BITS_PER_NAT for n, nats in heldout.ngram_nats.items()},
    )
