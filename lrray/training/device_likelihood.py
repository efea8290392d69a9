"""Exact likelihood of tokens by torch, for joint state spaces that a GPU goes through faster.

The recursion is that of :mod:`lrray.gssm.forward`. Each latent's axis in turn is the first one of
the joint law; contracting it moves it to the end, so after all latents the order is the first one
again, and each contraction is one batched matrix product.

Axis letters: l lane (a sequence), s joint state, z old and w new state of a latent, r axes right of
it, a axes left of it (already new), g row of its parents.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrray.gssm import GSSM
from lrray.gssm.likelihood import ForwardPlan

LANE_BYTES = 2**28
"""Size of the joint laws that advance together; a few copies of it are the call's memory."""


def nll_on_device(
    gssm: GSSM, tokens: NDArray[np.integer], device: torch.device
) -> NDArray[np.float64]:
    """-ln p(token | its past) as ``[N, T - 1]``, in nats: as ``GSSM.nll`` in float32 gives it.

    Cost: O(S * sum(d_i)) per token. A sequence too improbable for float32 is scored again in
    float64.

    Args:
        gssm: whose tokens they are.
        tokens: ``[N, T]``, column 0 the begin token 0.
        device: where to compute.
    """
    rough = gssm.forward_plan("float32")
    result = _Recursion(rough, device).token_nll(tokens)
    beyond = ~(result < rough.largest_nll).all(axis=1)
    if beyond.any():
        exact = _Recursion(gssm.forward_plan("float64"), device)
        result[beyond] = exact.token_nll(tokens[beyond])
    return result


class _Recursion:
    """A plan's tables on the device."""

    def __init__(self, plan: ForwardPlan, device: torch.device) -> None:
        self._device, self._num_states = device, plan.num_states
        self._dims = plan.dim.tolist()
        self._emission = torch.from_numpy(np.ascontiguousarray(plan.by_state.T)).to(device)
        self._tables, left = [], 1
        for i, dim in enumerate(self._dims):
            end = plan.start[i + 1] if i + 1 < len(self._dims) else len(plan.tables)
            table = plan.tables[plan.start[i] : end].reshape(-1, plan.size[i] // dim**2, dim, dim)
            rows = plan.parent_row[plan.parent_start[i] :][:left]
            # Without latent parents there is one row, whatever the axes left of it.
            own = table[:, rows] if table.shape[1] > 1 else table
            self._tables.append(torch.from_numpy(np.ascontiguousarray(own)).to(device))
            left *= dim

    def token_nll(self, tokens: NDArray[np.integer]) -> NDArray[np.float64]:
        """As :func:`nll_on_device`."""
        lanes = max(1, LANE_BYTES // (self._num_states * self._emission.element_size()))
        every = torch.from_numpy(tokens.astype(np.int64)).to(self._device)
        with torch.no_grad():
            parts = [self._advance_all(part) for part in every.split(lanes)]
        return np.asarray(torch.cat(parts).double().cpu().numpy())

    def _advance_all(self, tokens: Tensor) -> Tensor:
        joint = self._emission.new_zeros(len(tokens), self._num_states)
        joint[:, 0] = 1
        found = []
        for step in range(1, tokens.shape[1]):
            joint = self._advance(joint, tokens[:, step - 1])
            joint *= self._emission[tokens[:, step]]
            total = joint.sum(dim=1)
            joint /= total[:, None]
            found.append(-total.double().log())
        return torch.stack(found, dim=1)

    def _advance(self, joint: Tensor, previous: Tensor) -> Tensor:
        """Moves all latents one step on: ``[l, s]`` to ``[l, s]``."""
        lanes, left = len(joint), 1
        for dim, table in zip(self._dims, self._tables, strict=True):
            # Of a latent that sees no token, one table serves all lanes.
            own = table[previous] if len(table) > 1 else table.expand(lanes, *table.shape[1:])
            if own.shape[1] == 1:
                joint = torch.bmm(joint.view(lanes, dim, -1).transpose(1, 2), own[:, 0])
            else:
                split = joint.view(lanes, dim, -1, left)
                joint = torch.einsum("lzra,lazw->lraw", split, own)
            joint, left = joint.reshape(lanes, -1), left * dim
        return joint
