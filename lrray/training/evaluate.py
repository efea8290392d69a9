"""How good a model is on the held-out set, in bits per predicted token.

Axis letters: N sequence, K one of those whose exact laws are known, T token, V vocabulary; the
T - 1 predicted tokens are all but the begin token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from lrray.training.distributed import Workers
from lrray.training.heldout import ExactLaws, Heldout, own_rows

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
    kl_bits: float | None = None
    """Mean KL divergence from the exact predictive distribution to the model's: what
    ``excess_bits`` estimates, without the noise of the tokens drawn."""
    kl_bits_se: float | None = None
    """Its standard error over sequences."""
    kl_by_position_bits: NDArray[np.float64] | None = None
    """``[T - 1]``."""

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
            "kl_bits": self.kl_bits,
            "kl_bits_se": self.kl_bits_se,
        }
        result: dict[str, Any] = {k: v for k, v in scalars.items() if v is not None}
        result["loss_by_position_bits"] = by_octave(self.loss_by_position_bits)
        if self.bound_by_position_bits is not None:
            result["bound_by_position_bits"] = by_octave(self.bound_by_position_bits)
        if self.kl_by_position_bits is not None:
            result["kl_by_position_bits"] = by_octave(self.kl_by_position_bits)
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
    own = own_rows(len(heldout.tokens), workers)
    loss = torch.zeros(len(heldout.tokens), heldout.tokens.shape[1] - 1, dtype=torch.float64)
    hits = torch.zeros_like(loss)
    laws = heldout.laws
    kl = torch.zeros(0 if laws is None else len(laws.rows), loss.shape[1], dtype=torch.float64)
    found = score(model, heldout.tokens[own], workers.device, batch_size, bf16, laws, own.start)
    loss[own], hits[own] = found.loss, found.hits
    if laws is not None:
        kl[laws.own] = found.kl
    every = workers.sum(torch.cat([loss, hits, kl]).to(workers.device)).cpu()
    loss, hits, kl = every.split([len(loss), len(hits), len(kl)])
    return _summarise(Scores(loss, hits, kl), heldout)


@dataclass(frozen=True)
class Scores:
    """What a model makes of sequences, in nats, on the CPU."""

    loss: Tensor
    """``[N, T - 1]``."""
    hits: Tensor
    """``[N, T - 1]``: 1 where the likeliest token was right, else 0."""
    kl: Tensor
    """``[K, T - 1]``: divergence from the exact law to the model's."""


def score(
    model: nn.Module,
    tokens: NDArray[Any],
    device: torch.device,
    batch_size: int,
    bf16: bool = False,
    laws: ExactLaws | None = None,
    first: int = 0,
) -> Scores:
    """Scores sequences ``[N, T]``.

    Args:
        model: as of :func:`evaluate`.
        tokens: the sequences.
        device: of the model.
        batch_size: most sequences in one forward pass.
        bf16: whether to compute under bf16 autocast.
        laws: exact laws on some of them; none: no divergences.
        first: the number of the first sequence in the held-out set, as ``laws`` count them.
    """
    losses, hits, divergences = [], [], [torch.zeros(0, tokens.shape[1] - 1, dtype=torch.float64)]
    was_training = model.training
    model.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for start in range(0, len(tokens), batch_size):
            batch = torch.from_numpy(tokens[start : start + batch_size].astype(np.int64))
            batch = batch.to(device)
            logits = model(batch[:, :-1]).float()
            losses.append(cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none"))
            hits.append(logits.argmax(dim=-1) == batch[:, 1:])
            if laws is not None:
                divergences.append(_divergence(laws, logits, first + start))
    model.train(was_training)
    return Scores(*(torch.cat(parts).double().cpu() for parts in (losses, hits, divergences)))


def _divergence(laws: ExactLaws, logits: Tensor, first: int) -> Tensor:
    """KL in nats, ``[K, T - 1]``, on those of a batch's sequences that have exact laws.

    Args:
        laws: of the held-out set.
        logits: ``[B, T - 1, V]`` of its sequences ``first``, ``first + 1``, ….
        first: see above.
    """
    rows = laws.rows[laws.own]
    low, high = np.searchsorted(rows, [first, first + len(logits)])
    exact = torch.from_numpy(laws.probabilities[low:high])
    chosen = logits[torch.from_numpy(rows[low:high] - first).to(logits.device)]
    log_model = log_softmax(chosen.cpu().double(), dim=-1)
    terms = exact * (exact.log() - log_model)
    return torch.where(exact > 0, terms, 0.0).sum(dim=-1)


def _summarise(scores: Scores, heldout: Heldout) -> Evaluation:
    loss_bits = scores.loss.numpy() * _BITS_PER_NAT
    measured = {
        "loss_bits": float(loss_bits.mean()),
        "accuracy": float(scores.hits.mean()),
        "loss_by_position_bits": loss_bits.mean(axis=0),
    }
    if heldout.bound_nats is None:
        return Evaluation(**measured)
    bound_bits = heldout.bound_nats * _BITS_PER_NAT
    excess_bits, excess_bits_se = _over_sequences(loss_bits - bound_bits)
    return Evaluation(
        **measured,
        bound_bits=float(bound_bits.mean()),
        excess_bits=excess_bits,
        excess_bits_se=excess_bits_se,
        bound_by_position_bits=bound_bits.mean(axis=0),
        ngram_bits={n: nats * _BITS_PER_NAT for n, nats in heldout.ngram_nats.items()},
        **_divergences(scores.kl.numpy() * _BITS_PER_NAT),
    )


def _divergences(kl_bits: NDArray[np.float64]) -> dict[str, Any]:
    """What an evaluation holds of divergences ``[K, T - 1]``."""
    if not len(kl_bits):
        return {}
    mean, error = _over_sequences(kl_bits)
    return {"kl_bits": mean, "kl_bits_se": error, "kl_by_position_bits": kl_bits.mean(axis=0)}


def _over_sequences(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean over sequences ``[N, T - 1]`` and its standard error."""
    each = values.mean(axis=1)
    error = each.std(ddof=1) / math.sqrt(len(each)) if len(each) > 1 else math.nan
    return float(each.mean()), float(error)
