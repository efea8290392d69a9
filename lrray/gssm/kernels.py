"""Kernels of a GSSM: drawn from Dirichlet rows, changed by a node's mode, made conditional.

Axis letters: r rows (input states, C order), k new states of the node.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from lrray.errors import LrrayError
from lrray.gssm.graph import GraphConfig, NodeConfig

Kernels = dict[str, list[NDArray[np.float64]]]
Tables = dict[str, NDArray[np.float64]]
"""Node name -> p(new state | inputs) as ``[r, k]``, rows summing to one."""

MIN_PROBABILITY = 1e-10
"""Kernel entries are clipped below at this value, against underflow."""

OF_SEQUENCE, OF_ESTIMATE = 1, 2
"""Purposes of kernels that change during a run; the numbers keep their generators apart."""

MAX_TABLE_ENTRIES = 2**27
"""Most entries that a graph's conditional tables may have together (1 GiB of float64)."""


def draw_kernels(graph: GraphConfig, seed: int) -> Kernels:
    """Draws every node's kernels by the seeding rule that earlier work used.

    The generator is ``default_rng(SeedSequence(seed).spawn(1)[0])``; nodes are visited in declared
    order, a node whose latent parents are not drawn yet going to the back of the queue.

    Returns:
        Node name -> list of ``[r, k]`` arrays: one per input (product) or a single one (fullrank).

    Raises:
        LrrayError: a node has no alpha; the graph's tables would be too large.
    """
    _check_size(graph)
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    kernels: Kernels = {}
    queue = deque(graph.nodes)
    while queue:
        node = queue.popleft()
        latent_parents = [name for name in node.parents if name != graph.observed.name]
        if all(name in kernels for name in latent_parents):
            kernels[node.name] = draw_node(graph, node, rng)
        else:
            queue.append(node)
    return kernels


def draw_node(
    graph: GraphConfig, node: NodeConfig, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Draws one node's kernel matrices from ``rng``, with its mode's swap and the clip applied."""
    if node.alpha is None:
        raise LrrayError(
            f"node {node.name}",
            "alpha must be set before kernels are drawn",
            fix="write 'alpha: 0.1' on the node or search over alpha_X and alpha_Z",
        )
    dims = graph.input_dims(node)
    rows_per_matrix = [math.prod(dims)] if node.kernel_type == "fullrank" else list(dims)
    concentration = np.full(node.state_dim, node.alpha)
    matrices = [rng.dirichlet(concentration, size=rows) for rows in rows_per_matrix]
    return [np.maximum(_apply_mode(matrix, node), MIN_PROBABILITY) for matrix in matrices]


def _apply_mode(matrix: NDArray[np.float64], node: NodeConfig) -> NDArray[np.float64]:
    """Swaps each row's largest entry to the state that the mode favours."""
    if node.mode not in ("slow", "dead"):
        return matrix
    rows = np.arange(len(matrix))
    # A slow node has no parents: its only input, and so the row, is its own state.
    favoured = rows if node.mode == "slow" else np.zeros_like(rows)
    largest = matrix.argmax(axis=1)
    swapped = matrix.copy()
    swapped[rows, favoured] = matrix[rows, largest]
    swapped[rows, largest] = matrix[rows, favoured]
    return swapped


def table_entries(graph: GraphConfig, node: NodeConfig) -> int:
    """Number of entries of the node's full conditional table."""
    return math.prod(graph.input_dims(node)) * node.state_dim


def _check_size(graph: GraphConfig) -> None:
    entries = {node.name: table_entries(graph, node) for node in graph.nodes}
    if sum(entries.values()) > MAX_TABLE_ENTRIES:
        raise LrrayError(
            f"node {max(entries, key=entries.__getitem__)}",
            f"the graph's conditional tables must have at most {MAX_TABLE_ENTRIES} entries",
            got=sum(entries.values()),
            fix="use fewer parents or fewer states",
        )


def conditional_table(
    graph: GraphConfig, node: NodeConfig, matrices: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """p(new state | inputs) as ``[r, k]``: rows sum to one, r ravels all inputs in C order."""
    if node.kernel_type == "fullrank":
        table = matrices[0]
    else:
        dims = graph.input_dims(node)
        table = np.ones((*(1 for _ in dims), node.state_dim))
        for axis, matrix in enumerate(matrices):
            shape = [1] * len(dims) + [node.state_dim]
            shape[axis] = dims[axis]
            table = table * matrix.reshape(shape)
        table = table.reshape(-1, node.state_dim)
    normalised: NDArray[np.float64] = table / table.sum(axis=1, keepdims=True)
    return normalised


def context_nodes(graph: GraphConfig) -> tuple[str, ...]:
    """Names of the nodes whose kernels are redrawn for every sequence."""
    return tuple(node.name for node in graph.nodes if node.mode == "context")


def redraw_context(
    graph: GraphConfig, graph_seed: int, purpose: int, seed: int, index: int
) -> Tables:
    """New conditional tables of the ``context`` nodes, a pure function of the arguments."""
    address = np.array([purpose, graph_seed, seed, index], np.uint64).view(np.uint32)
    rng = np.random.default_rng(np.random.SeedSequence(address.tolist()))
    tables = {}
    for name in context_nodes(graph):
        node = graph.node(name)
        tables[name] = conditional_table(graph, node, draw_node(graph, node, rng))
    return tables
