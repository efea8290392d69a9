"""Exact likelihood of tokens: the forward algorithm on the joint latent state, factored.

The joint distribution over latents is a tensor with one axis per latent, in topological order.
One step contracts one axis at a time with that latent's own transition matrix, O(S * sum(d_i))
for S joint states instead of O(S**2): when a latent's axis is contracted, the axes of its parents
(all further left) already hold their new states. Then the tensor is multiplied by the emission
probabilities of the observed token and scaled to sum one; the scale is the token's probability.
Linear space with scaling (Rabiner 1989, §V.A) needs no log-sum-exp.

Several sequences advance together as the last, contiguous axis (``lanes``), which the compiler
turns into vector instructions; a latent with many states is instead multiplied lane by lane,
because there its matrix row is the longer contiguous axis.

Axis letters: s joint state, l lane, z old and w new state of a latent, g row of its parents,
v token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lrray.errors import LrrayError
from lrray.gssm.graph import GraphConfig, NodeConfig
from lrray.gssm.kernels import table_entries
from lrray.gssm.sampling import over_chunks

MAX_WORKSPACE_GB = 3.5
"""Largest memory that one likelihood call may take for its arrays."""

_DENSE_STATES = 12
"""From this number of states on, a latent is contracted lane by lane."""

_PAD = 8
"""Columns beside each row of the emissions: rows a power of two apart would share cache sets."""

# Contraction (fused multiply-add) is allowed; reordering is not, so results stay reproducible.
_COMPILE: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"},
}  # fmt: skip


@dataclass(frozen=True)
class ForwardPlan:
    """A graph's conditional tables laid out for the forward recursion."""

    tables: NDArray[np.floating]
    """Transition tables of all latents, flat, each ``[previous token or 1, g, z, w]``."""
    start: NDArray[np.int64]
    """Where each latent's table begins."""
    size: NDArray[np.int64]
    """Entries of each latent's table for one previous token: g * z * w."""
    feedback: NDArray[np.bool_]
    """Whether the latent sees the previous token."""
    dim: NDArray[np.int64]
    """Number of states of each latent."""
    parent_row: NDArray[np.int64]
    """For each latent and each state of the axes left of it: the row g of its parents."""
    parent_start: NDArray[np.int64]
    """Where each latent's stretch of ``parent_row`` begins."""
    emission: NDArray[np.floating]
    """``[v, s + _PAD]``: probability of a token given the joint state."""

    @classmethod
    def of(
        cls, graph: GraphConfig, tables: dict[str, NDArray[np.float64]], dtype: type[np.floating]
    ) -> ForwardPlan:
        """Lays out conditional tables ``[inputs, new state]`` by node name."""
        parts = [_transition(graph, node, tables[node.name]) for node in graph.latents]
        rows = [_parent_rows(graph, i) for i in range(len(graph.latents))]
        return cls(
            tables=np.concatenate([part.ravel() for part in parts]).astype(dtype),
            start=_starts([part.size for part in parts]),
            size=np.array([part[0].size for part in parts]),
            feedback=np.array([graph.observed.name in node.parents for node in graph.latents]),
            dim=np.array([node.state_dim for node in graph.latents]),
            parent_row=np.concatenate(rows),
            parent_start=_starts([row.size for row in rows]),
            emission=_emission(graph, tables[graph.observed.name], dtype),
        )


def check_workspace(graph: GraphConfig, num_threads: int) -> None:
    """Refuses a graph whose likelihood would not fit in memory.

    Raises:
        LrrayError: the arrays would take more than ``MAX_WORKSPACE_GB``.
    """
    states, vocab = graph.num_joint_states, graph.observed.state_dim
    tables, gathered = 0, 0
    for node in graph.latents:
        entries = table_entries(graph, node)
        tables += entries
        if node.state_dim < _DENSE_STATES:
            gathered += entries // (vocab if graph.observed.name in node.parents else 1)
    per_thread = _lanes(states) * (states + gathered)
    gigabytes = 8 * (tables + states * (vocab + 4) + num_threads * per_thread) / 1e9
    if gigabytes > MAX_WORKSPACE_GB:
        raise LrrayError(
            "graph",
            f"the exact likelihood must fit in {MAX_WORKSPACE_GB:g} GB",
            got=f"{gigabytes:.1f} GB for {states} joint states, {vocab} tokens, "
            f"{num_threads} threads",
            fix="use fewer or smaller latents, or fewer threads",
        )


def _lanes(num_states: int) -> int:
    """Sequences that advance together: 32 while their tensor stays in the second-level cache."""
    return 32 if num_states <= 4096 else 16


def _starts(sizes: list[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *sizes[:-1]])


def _transition(
    graph: GraphConfig, node: NodeConfig, table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A latent's table as ``[previous token or 1, g, z, w]``."""
    names = graph.inputs(node)
    token = [i for i, name in enumerate(names) if name == graph.observed.name]
    latent = [i for i in range(1, len(names)) if i not in token]
    full = table.reshape(*graph.input_dims(node), node.state_dim)
    ordered = full.transpose(*token, *latent, 0, len(names))
    vocab = graph.observed.state_dim if token else 1
    return ordered.reshape(vocab, -1, node.state_dim, node.state_dim)


def _parent_rows(graph: GraphConfig, latent: int) -> NDArray[np.int64]:
    """Row of the latent's parents for each state of the axes left of it, C order."""
    left = graph.latents[:latent]
    parents = [name for name in graph.latents[latent].parents if name != graph.observed.name]
    return _ravel_rows(left, parents)


def _emission(
    graph: GraphConfig, table: NDArray[np.float64], dtype: type[np.floating]
) -> NDArray[np.floating]:
    """``[v, s + _PAD]``: the observed node's table spread over all joint states."""
    rows = _ravel_rows(graph.latents, graph.observed.parents)
    emission = np.zeros((table.shape[1], rows.size + _PAD), dtype)
    for token, probability in enumerate(table.T):
        emission[token, : rows.size] = probability[rows]
    return emission


def _ravel_rows(nodes: Sequence[NodeConfig], chosen: Iterable[str]) -> NDArray[np.int64]:
    """C-order row of the ``chosen`` nodes' states, for each joint state of ``nodes``."""
    dims = {node.name: node.state_dim for node in nodes}
    axis = dict(zip(dims, np.ix_(*map(np.arange, dims.values())), strict=True))
    rows = np.zeros(tuple(dims.values()), np.int64)
    for name in chosen:
        rows = rows * dims[name] + axis[name]
    return rows.ravel()


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
def _forward(
    nll, tokens, lanes, tables, start, size, feedback, dim, parent_row, parent_start, emission
):
    """Writes -ln p(token | its past) into ``nll`` ``[sequences, steps - 1]``."""
    num_sequences, num_steps = tokens.shape
    num_latents, num_states = dim.size, emission.shape[1] - _PAD
    joint = np.zeros((num_states, lanes), emission.dtype)
    dense = dim >= _DENSE_STATES
    gather_start = np.zeros(num_latents + 1, np.int64)
    for i in range(num_latents):
        gather_start[i + 1] = gather_start[i] + (0 if dense[i] else size[i])
    gathered = np.zeros((gather_start[-1], lanes), emission.dtype)
    old_lanes = np.zeros((_DENSE_STATES, lanes), emission.dtype)
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


def token_nll(
    plan: ForwardPlan, tokens: NDArray[np.unsignedinteger], num_threads: int
) -> NDArray[np.float64]:
    """-ln p(token | its past) as ``[sequences, steps - 1]``, in nats.

    Cost: O(S * sum(d_i)) per token; memory S * lanes numbers per thread beside the tables.
    """
    nll = np.empty((tokens.shape[0], tokens.shape[1] - 1))
    lanes = _lanes(plan.emission.shape[1] - _PAD)
    while lanes > 8 and lanes // 2 * num_threads >= len(tokens):
        lanes //= 2  # no lane idles, no thread either

    def fill(low: int, high: int) -> None:
        _forward(
            nll[low:high], tokens[low:high], lanes, plan.tables, plan.start, plan.size,
            plan.feedback, plan.dim, plan.parent_row, plan.parent_start, plan.emission,
        )  # fmt: skip

    over_chunks(fill, len(tokens), num_threads, lanes)
    return nll
