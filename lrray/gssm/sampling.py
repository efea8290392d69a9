"""Compiled sampling of token sequences from conditional tables.

A sequence depends on nothing but (graph, stream seed, index), which are the address of its draws
(:mod:`lrray.gssm.draws`): one per node and step, in topological order, the token last.

Axis letters: n node, k kernel input, l lane, r row of a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lrray.errors import LrrayError
from lrray.gssm.checks import StreamAddress
from lrray.gssm.draws import LANES, AliasTables, alias_table, philox
from lrray.gssm.graph import GraphConfig
from lrray.gssm.kernels import (
    OF_SEQUENCE,
    Tables,
    context_nodes,
    redraw_context,
    table_entries,
)

MAX_CONTEXT_GB = 3.5
"""Largest memory that sampling a context graph may take for tables of single sequences."""

_U32, _U64 = np.uint32, np.uint64


@dataclass(frozen=True)
class SamplingPlan:
    """What the compiled loop needs to know of a graph, as flat arrays.

    Nodes stand in topological order with the observed one last, so a feedback edge read before
    the observed node is visited sees the previous token.
    """

    input_start: NDArray[np.int64]
    """``[n + 1]``: where each node's inputs begin in ``source`` and ``stride``."""
    source: NDArray[np.int64]
    """Node whose state is the input."""
    stride: NDArray[np.uint32]
    """Rows that one state of the input is worth."""
    dim: NDArray[np.uint32]
    """``[n]``: number of states."""
    names: tuple[str, ...]

    @classmethod
    def of(cls, graph: GraphConfig) -> SamplingPlan:
        """Flattens a graph."""
        nodes = (*graph.latents, graph.observed)
        names = tuple(node.name for node in nodes)
        start, source, stride = [0], [], []
        for node in nodes:
            dims = graph.input_dims(node)
            source += [names.index(name) for name in graph.inputs(node)]
            stride += [math.prod(dims[i + 1 :]) for i in range(len(dims))]
            start.append(len(source))
        return cls(
            input_start=np.array(start),
            source=np.array(source),
            stride=np.array(stride, np.uint32),
            dim=np.array([node.state_dim for node in nodes], np.uint32),
            names=names,
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _sample(kept, first, every, key, input_start, source, stride, dim, offset, words):
    """Fills ``kept`` ``[nodes, sequences, steps]`` with sequences ``first, first + every, …``.

    Its nodes are the last ones of the plan: the token alone, or all nodes. ``offset`` ``[n, l]``
    says where in ``words`` a node's alias table lies for each lane.
    """
    num_kept, num_sequences, num_steps = kept.shape
    num_nodes = dim.size
    key_low, key_high = _U32(key), _U32(key >> _U64(32))
    state = np.zeros((num_nodes, LANES), np.uint32)
    row = np.zeros(LANES, np.uint32)
    draws = np.zeros((4, LANES), np.uint32)
    index_low = np.zeros(LANES, np.uint32)
    index_high = np.zeros(LANES, np.uint32)
    for group in range(0, num_sequences, LANES):
        width = min(LANES, num_sequences - group)
        for lane in range(LANES):
            index = first + every * _U64(group + lane)
            index_low[lane], index_high[lane] = _U32(index), _U32(index >> _U64(32))
        state[:] = 0
        kept[:, group : group + width, 0] = 0
        draw = 0
        for step in range(1, num_steps):
            for node in range(num_nodes):
                word = draw & 3
                if word == 0:
                    philox(draws, key_low, key_high, draw >> 2, index_low, index_high)
                draw += 1
                row[:] = 0
                for k in range(input_start[node], input_start[node + 1]):
                    inputs, rows = state[source[k]], stride[k]
                    for lane in range(LANES):
                        row[lane] += inputs[lane] * rows
                states = _U64(dim[node])
                for lane in range(LANES):
                    scaled = _U64(draws[word, lane]) * states
                    column = scaled >> _U64(32)
                    entry = words[offset[node, lane] + _U64(row[lane]) * states + column]
                    keep = (scaled & _U64(0xFFFFFFFF)) < (entry >> _U64(16))
                    state[node, lane] = _U32(column if keep else entry & _U64(0xFFFF))
            for node in range(num_kept):
                for lane in range(width):
                    kept[node, group + lane, step] = state[num_nodes - num_kept + node, lane]


@dataclass(frozen=True)
class LaneTables:
    """Alias tables of all nodes for one group of sequences."""

    words: NDArray[np.uint64]
    """Alias words of all tables, end to end."""
    offset: NDArray[np.uint64]
    """``[n, l]``: where in ``words`` a node's table lies for each lane."""

    @classmethod
    def of(
        cls, plan: SamplingPlan, shared: AliasTables, own: list[AliasTables] | None = None
    ) -> LaneTables:
        """Lays out alias tables; ``own`` holds those that each lane has for itself."""
        own = own or [{}]
        offset = np.zeros((len(plan.names), LANES), np.uint64)
        parts: list[NDArray[np.uint64]] = []
        size = 0
        for n, name in enumerate(plan.names):
            tables = [lane[name] for lane in own] if name in own[0] else [shared[name]]
            for lane, table in enumerate(tables):
                offset[n, lane:] = size
                parts.append(table.ravel())
                size += table.size
        return cls(np.concatenate(parts), offset)


class Sampler:
    """Samples from the tables of a graph; those of ``context`` nodes are redrawn per sequence.

    Args:
        graph: the graph.
        graph_seed: of its kernels.
        tables: conditional tables of its nodes.
    """

    def __init__(self, graph: GraphConfig, graph_seed: int, tables: Tables) -> None:
        self._graph, self._seed = graph, graph_seed
        self._plan = SamplingPlan.of(graph)
        own = context_nodes(graph)
        shared = {name: alias_table(table) for name, table in tables.items() if name not in own}
        self._shared = shared if own else LaneTables.of(self._plan, shared)

    def fill(
        self, kept: NDArray[np.unsignedinteger], address: StreamAddress, num_threads: int
    ) -> None:
        """Fills ``kept`` ``[nodes, sequences, steps]`` with the states of the last nodes.

        Nodes stand in topological order, so the last one is the token.

        Raises:
            LrrayError: the tables of single sequences do not fit in memory.
        """
        shared, size = self._shared, address.num_sequences
        if isinstance(shared, LaneTables):

            def fill(low: int, high: int) -> None:
                self._run(kept[:, low:high], address, low, shared)
        else:
            _check_context_tables(self._graph, size, num_threads)

            def fill(low: int, high: int) -> None:
                for group in range(low, high, LANES):
                    end = min(group + LANES, high)
                    own = [self._own_tables(address, i) for i in range(group, end)]
                    tables = LaneTables.of(self._plan, shared, own)
                    self._run(kept[:, group:end], address, group, tables)

        over_chunks(fill, size, num_threads)

    def _own_tables(self, address: StreamAddress, i: int) -> AliasTables:
        """Alias tables of the i-th sequence's ``context`` nodes."""
        index, seed = address.start + i * address.every, address.stream_seed
        redrawn = redraw_context(self._graph, self._seed, OF_SEQUENCE, seed, index)
        return {name: alias_table(table) for name, table in redrawn.items()}

    def _run(
        self,
        kept: NDArray[np.unsignedinteger],
        address: StreamAddress,
        first: int,
        tables: LaneTables,
    ) -> None:
        start = _U64(address.start + first * address.every)
        where = (start, _U64(address.every), _U64(address.stream_seed))
        plan = self._plan
        shape = (plan.input_start, plan.source, plan.stride, plan.dim)
        _sample(kept, *where, *shape, tables.offset, tables.words)


def _check_context_tables(graph: GraphConfig, num_sequences: int, num_threads: int) -> None:
    """Refuses to sample where the tables of ``LANES`` sequences per thread do not fit in memory.

    Raises:
        LrrayError: they would take more than ``MAX_CONTEXT_GB``.
    """
    own = {node.name: table_entries(graph, node) for node in graph.nodes if node.mode == "context"}
    shared = sum(table_entries(graph, node) for node in graph.nodes if node.name not in own)
    threads = min(num_threads, -(-num_sequences // LANES))
    # Tables of a sequence stand twice for a moment: by node, and end to end with all others.
    held = 2 * min(num_sequences, threads * LANES) * sum(own.values()) + threads * shared
    if 8 * held / 1e9 > MAX_CONTEXT_GB:
        raise LrrayError(
            f"node {max(own, key=own.__getitem__)}",
            f"the tables of a context graph's sequences must fit in {MAX_CONTEXT_GB:g} GB",
            got=f"{8 * held / 1e9:.1f} GB for {threads} threads",
            fix="use fewer parents or states in context nodes, or fewer threads",
        )


def over_chunks(
    fill: Callable[[int, int], None], size: int, num_threads: int, lanes: int = LANES
) -> None:
    """Calls ``fill(low, high)`` on threads, over lane-aligned ranges that cover ``size``."""
    if size == 0:
        return
    groups = -(-size // lanes)
    chunk = -(-groups // min(num_threads, groups)) * lanes
    ranges = [(low, min(low + chunk, size)) for low in range(0, size, chunk)]
    if len(ranges) == 1:
        fill(*ranges[0])
        return
    with ThreadPoolExecutor(len(ranges)) as pool:
        for future in [pool.submit(fill, *range_) for range_ in ranges]:
            future.result()
