"""Exact likelihood of tokens: a graph laid out for the compiled forward recursion.

The joint distribution over latents is a tensor with one axis per latent, in topological order.
One step contracts one axis at a time with that latent's own transition matrix, O(S * sum(d_i))
for S joint states instead of O(S**2): when a latent's axis is contracted, the axes of its parents
(all further left) already hold their new states. Linear space with scaling needs no log-sum-exp.

Axis letters: s joint state, z old and w new state of a latent, g row of its parents, v token.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrray.errors import LrrayError
from lrray.gssm.forward import (
    DENSE_STATES,
    PAD,
    advance_lanes,
    forward_lanes,
    forward_one_by_one,
)
from lrray.gssm.graph import GraphConfig, NodeConfig
from lrray.gssm.kernels import table_entries
from lrray.gssm.sampling import over_chunks

MAX_WORKSPACE_GB = 3.5
"""Largest memory that one likelihood call may take for its arrays."""

FEW_SEQUENCES = 5
"""Up to so many go one by one: eight lanes take longer, however many of them idle."""


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
    """``[v, s + PAD]``: probability of a token given the joint state."""

    @property
    def num_states(self) -> int:
        """Number of joint latent states."""
        return self.emission.shape[1] - PAD

    @property
    def by_state(self) -> NDArray[np.floating]:
        """``[s, v]``: probability of a token given the joint state, a view."""
        return self.emission[:, : self.num_states].T

    def advance(self, joint: NDArray[np.floating], previous: NDArray[np.int64]) -> None:
        """Moves all latents of ``joint`` ``[s, l]`` one step on, in place.

        Args:
            joint: weights of joint states, one law per lane; C-contiguous, of the plan's type.
            previous: ``[l]`` the token before the step in each lane, which feedback edges see.
        """
        advance_lanes(
            joint, previous, self.tables, self.start, self.size, self.feedback, self.dim,
            self.parent_row, self.parent_start,
        )  # fmt: skip

    @property
    def largest_nll(self) -> float:
        """Above it a token's NLL is inexact: joint states may have lost digits near zero."""
        if self.emission.dtype == np.float64:  # probabilities are at least 1e-300
            return math.inf
        smallest = float(np.finfo(np.float32).tiny) * self.emission.shape[1]
        return -math.log(smallest)

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
        if node.state_dim < DENSE_STATES:
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
    """``[v, s + PAD]``: the observed node's table spread over all joint states."""
    rows = _ravel_rows(graph.latents, graph.observed.parents)
    emission = np.zeros((table.shape[1], rows.size + PAD), dtype)
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


def token_nll(
    plan: ForwardPlan, tokens: NDArray[np.unsignedinteger], num_threads: int
) -> NDArray[np.float64]:
    """-ln p(token | its past) as ``[sequences, steps - 1]``, in nats.

    Cost: O(S * sum(d_i)) per token; memory S * lanes numbers per thread beside the tables.
    """
    nll = np.empty((tokens.shape[0], tokens.shape[1] - 1))
    lanes = _lanes(plan.emission.shape[1] - PAD)
    while lanes > 8 and lanes // 2 * num_threads >= len(tokens):
        lanes //= 2  # no lane idles, no thread either
    arrays = (
        plan.tables, plan.start, plan.size, plan.feedback, plan.dim,
        plan.parent_row, plan.parent_start, plan.emission,
    )  # fmt: skip
    few = len(tokens) <= FEW_SEQUENCES * num_threads

    def fill(low: int, high: int) -> None:
        if few:
            forward_one_by_one(nll[low:high], tokens[low:high], *arrays)
        else:
            forward_lanes(nll[low:high], tokens[low:high], lanes, *arrays)

    over_chunks(fill, len(tokens), num_threads, 1 if few else lanes)
    return nll
