"""The linear recurrence h[t] = a[t] * h[t-1] + b[t] over all steps at once.

Doubling (Hillis & Steele 1986; Blelloch 1990): after round k, (a, b) at step t composes the last
2**k steps, so log2(T) rounds do. With 0 <= a <= 1 every product shrinks, so linear space is sound:
what underflows to zero is forgotten exactly as the recurrence forgets it. The log-space scan of
arXiv 2410.01201 §B instead subtracts cumulative sums of logarithms, whose absolute error grows
with T, and needs positive b.

Axis letters: B sequence, T step, D channel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def linear_recurrence(a: Tensor, b: Tensor) -> Tensor:
    """All states of h[t] = a[t] * h[t-1] + b[t] with h[-1] = 0.

    Differentiable; O(T log T) work, O(log T) depth, and memory for two tensors in the backward
    pass. Computed in float32 also under autocast: products of many bf16 factors drift.

    Args:
        a: ``[B, T, D]`` decay of the previous state, in [0, 1].
        b: ``[B, T, D]`` input.

    Returns:
        ``[B, T, D]`` states.
    """
    states: Tensor = _LinearRecurrence.apply(a.float(), b.float())
    return states


class _LinearRecurrence(torch.autograd.Function):
    """The gradient of a linear recurrence is the same recurrence, run backwards in time."""

    generate_vmap_rule = True  # for models that are trained side by side

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        # Of a single step the states are b itself, and an input must not be returned as it is.
        return _scan(a, b).view_as(b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        a, states = ctx.saved_tensors
        # dL/db[t] = g[t] + a[t+1] * dL/db[t+1]
        next_a = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], dim=1)
        grad_b = _scan(next_a.flip(1), grad_outputs[0].flip(1)).flip(1)
        grad_a = grad_b[:, 1:] * states[:, :-1]
        return torch.cat([torch.zeros_like(a[:, :1]), grad_a], dim=1), grad_b


def _scan(a: Tensor, b: Tensor) -> Tensor:
    """States of the recurrence, by doubling."""
    step, length = 1, a.shape[1]
    while step < length:
        earlier = b[:, :-step]
        b = torch.cat([b[:, :step], torch.addcmul(b[:, step:], a[:, step:], earlier)], dim=1)
        if 2 * step < length:
            a = torch.cat([a[:, :step], a[:, step:] * a[:, :-step]], dim=1)
        step *= 2
    return b
