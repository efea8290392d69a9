"""Compiled forward recursion on the joint latent state, factored.

One step contracts one latent's axis at a time with its own transition matrix, multiplies by the
emission probabilities of the observed token and scales to sum one; the scale is the token's
probability (Rabiner 1989, §V.A).

Many sequences advance together as the last, contiguous axis (``lanes``), which the compiler turns
into vector instructions; a few go one by one, and the vector is then the axes right of the latent's
own. A latent with many states is multiplied row by row of its matrix either way. All ways do the
same arithmetic in the same order: a sequence's likelihood is the same to the last bit.

Axis letters: s joint state, l lane, z old and w new state of a latent, g row of its parents,
v token.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

DENSE_STATES = 12
"""From this number of states on, a latent is contracted lane by lane."""

PAD = 8
"""Columns beside each row of the emissions: rows a power of two apart would share cache sets."""

# Contraction (fused multiply-add) is allowed; reordering is not, so results stay reproducible.
_COMPILE: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"},
}  # fmt: skip


@njit(**_COMPILE)
def _contract_lanes(joint, gathered, left, dim, right, parent_row, old):
    """Contracts one small axis of ``joint`` ``[s, l]`` with ``gathered`` ``[g * z * w, l]``."""
    lanes = joint.shape[1]
    for i in range(left):
        first = parent_row[i] * dim * dim
        for j in range(right):
            for z in range(dim):
                source, copy = joint[(i * dim + z) * right + j], old[z]
                for lane in range(lanes):
                    copy[lane] = source[lane]
            for w in range(dim):
                target = joint[(i * dim + w) * right + j]
                if dim == 4:  # one pass instead of four over the commonest size
                    z0, z1, z2, z3 = old[0], old[1], old[2], old[3]
                    p0, p1 = gathered[first + w], gathered[first + 4 + w]
                    p2, p3 = gathered[first + 8 + w], gathered[first + 12 + w]
                    for lane in range(lanes):
                        target[lane] = (
                            z0[lane] * p0[lane] + z1[lane] * p1[lane]
                            + z2[lane] * p2[lane] + z3[lane] * p3[lane]
                        )  # fmt: skip
                    continue
                z0, p0 = old[0], gathered[first + w]
                for lane in range(lanes):
                    target[lane] = z0[lane] * p0[lane]
                for z in range(1, dim):
                    z0, p0 = old[z], gathered[first + z * dim + w]
                    for lane in range(lanes):
                        target[lane] += z0[lane] * p0[lane]


@njit(**_COMPILE)
def _contract_dense(joint, table, start, left, dim, right, parent_row, old, new):
    """Contracts one large axis lane by lane; ``start`` ``[l]`` points into ``table``."""
    for lane in range(joint.shape[1]):
        for i in range(left):
            first = start[lane] + parent_row[i] * dim * dim
            for j in range(right):
                for z in range(dim):
                    old[z] = joint[(i * dim + z) * right + j, lane]
                    new[z] = 0
                for z in range(dim):
                    row = table[first + z * dim : first + (z + 1) * dim]
                    weight = old[z]
                    for w in range(dim):
                        new[w] += weight * row[w]
                for w in range(dim):
                    joint[(i * dim + w) * right + j, lane] = new[w]


@njit(**_COMPILE)
def _observe(joint, emission, token, total, factor):
    """Weighs ``joint`` by its tokens' probabilities and scales it to sum one; sums in ``total``."""
    states, lanes = joint.shape
    total[:] = 0
    for s in range(states):
        row = joint[s]
        for lane in range(lanes):
            factor[lane] = emission[token[lane], s]
        for lane in range(lanes):
            row[lane] *= factor[lane]
        for lane in range(lanes):
            total[lane] += row[lane]
    for lane in range(lanes):
        factor[lane] = 1 / total[lane]
    for s in range(states):
        row = joint[s]
        for lane in range(lanes):
            row[lane] *= factor[lane]


@njit(**_COMPILE)
def advance_lanes(joint, previous, tables, start, size, feedback, dim, parent_row, parent_start):
    """Moves all latents of ``joint`` ``[s, l]`` one step on after tokens ``previous`` ``[l]``."""
    num_states, lanes = joint.shape
    old_lanes = np.zeros((DENSE_STATES, lanes), joint.dtype)
    old, new = np.zeros(dim.max(), joint.dtype), np.zeros(dim.max(), joint.dtype)
    at = np.zeros(lanes, np.int64)
    left, right = 1, num_states
    for i in range(dim.size):
        right //= dim[i]
        rows = parent_row[parent_start[i] :]
        for lane in range(lanes):
            at[lane] = start[i] + (previous[lane] * size[i] if feedback[i] else 0)
        if dim[i] >= DENSE_STATES:
            _contract_dense(joint, tables, at, left, dim[i], right, rows, old, new)
        else:
            gathered = np.empty((size[i], lanes), joint.dtype)
            for m in range(size[i]):
                for lane in range(lanes):
                    gathered[m, lane] = tables[at[lane] + m]
            _contract_lanes(joint, gathered, left, dim[i], right, rows, old_lanes)
        left *= dim[i]


@njit(**_COMPILE)
def forward_lanes(
    nll, tokens, lanes, tables, start, size, feedback, dim, parent_row, parent_start, emission
):
    """Writes -ln p(token | its past) into ``nll`` ``[sequences, steps - 1]``."""
    num_sequences, num_steps = tokens.shape
    num_latents, num_states = dim.size, emission.shape[1] - PAD
    joint = np.zeros((num_states, lanes), emission.dtype)
    dense = dim >= DENSE_STATES
    gather_start = np.zeros(num_latents + 1, np.int64)
    for i in range(num_latents):
        gather_start[i + 1] = gather_start[i] + (0 if dense[i] else size[i])
    gathered = np.zeros((gather_start[-1], lanes), emission.dtype)
    old_lanes = np.zeros((DENSE_STATES, lanes), emission.dtype)
    old, new = np.zeros(dim.max(), emission.dtype), np.zeros(dim.max(), emission.dtype)
    at = np.zeros(lanes, np.int64)
    total, factor = np.zeros(lanes, emission.dtype), np.zeros(lanes, emission.dtype)
    for group in range(0, num_sequences, lanes):
        width = min(lanes, num_sequences - group)
        joint[:] = 0
        joint[0] = 1
        for step in range(1, num_steps):
            left, right = 1, num_states
            for i in range(num_latents):
                right //= dim[i]
                rows = parent_row[parent_start[i] :]
                if feedback[i] or step == 1 or dense[i]:
                    for lane in range(lanes):
                        previous = 0
                        if feedback[i]:
                            previous = np.int64(tokens[group + min(lane, width - 1), step - 1])
                        at[lane] = start[i] + previous * size[i]
                if dense[i]:
                    _contract_dense(joint, tables, at, left, dim[i], right, rows, old, new)
                else:
                    own = gathered[gather_start[i] : gather_start[i + 1]]
                    if feedback[i] or step == 1:
                        for m in range(size[i]):
                            row = own[m]
                            for lane in range(lanes):
                                row[lane] = tables[at[lane] + m]
                    _contract_lanes(joint, own, left, dim[i], right, rows, old_lanes)
                left *= dim[i]
            for lane in range(lanes):
                at[lane] = np.int64(tokens[group + min(lane, width - 1), step])
            _observe(joint, emission, at, total, factor)
            for lane in range(width):
                nll[group + lane, step - 1] = -np.log(np.float64(total[lane]))


@njit(**_COMPILE)
def _contract_one(joint, result, table, left, dim, right, parent_row):
    """Contracts one small axis of one ``joint`` ``[s]`` with ``table`` ``[g * z * w]``."""
    for i in range(left):
        first, block = parent_row[i] * dim * dim, i * dim * right
        for w in range(dim):
            target = result[block + w * right : block + (w + 1) * right]
            if dim == 4:  # one pass instead of four over the commonest size
                z0, z1 = joint[block : block + right], joint[block + right : block + 2 * right]
                z2 = joint[block + 2 * right : block + 3 * right]
                z3 = joint[block + 3 * right : block + 4 * right]
                p0, p1 = table[first + w], table[first + 4 + w]
                p2, p3 = table[first + 8 + w], table[first + 12 + w]
                for j in range(right):
                    target[j] = z0[j] * p0 + z1[j] * p1 + z2[j] * p2 + z3[j] * p3
                continue
            z0, p0 = joint[block : block + right], table[first + w]
            for j in range(right):
                target[j] = z0[j] * p0
            for z in range(1, dim):
                z0 = joint[block + z * right : block + (z + 1) * right]
                p0 = table[first + z * dim + w]
                for j in range(right):
                    target[j] += z0[j] * p0


@njit(**_COMPILE)
def forward_one_by_one(
    nll, tokens, tables, start, size, feedback, dim, parent_row, parent_start, emission
):
    """Does what :func:`forward_lanes` does, for a few sequences."""
    num_sequences, num_steps = tokens.shape
    num_states = emission.shape[1] - PAD
    joint, other = np.empty(num_states, emission.dtype), np.empty(num_states, emission.dtype)
    old, new = np.zeros(dim.max(), emission.dtype), np.zeros(dim.max(), emission.dtype)
    at = np.zeros(1, np.int64)
    one = np.ones(1, emission.dtype)[0]  # a plain 1 would make float32 scales float64
    for sequence in range(num_sequences):
        joint[:] = 0
        joint[0] = 1
        for step in range(1, num_steps):
            left, right = 1, num_states
            for i in range(dim.size):
                right //= dim[i]
                rows = parent_row[parent_start[i] :]
                previous = np.int64(tokens[sequence, step - 1]) if feedback[i] else 0
                at[0] = start[i] + previous * size[i]
                if dim[i] >= DENSE_STATES:
                    lanes = joint.reshape(num_states, 1)
                    _contract_dense(lanes, tables, at, left, dim[i], right, rows, old, new)
                else:
                    own = tables[at[0] : at[0] + size[i]]
                    _contract_one(joint, other, own, left, dim[i], right, rows)
                    joint, other = other, joint
                left *= dim[i]
            factor = emission[np.int64(tokens[sequence, step])]
            for s in range(num_states):
                joint[s] *= factor[s]
            total = joint[0]
            for s in range(1, num_states):  # a loop of its own: fused, it would round otherwise
                total += joint[s]
            scale = one / total
            for s in range(num_states):
                joint[s] *= scale
            nll[sequence, step - 1] = -np.log(np.float64(total))
