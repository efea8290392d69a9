"""Compiled sampling of token sequences from conditional tables.

A counter-based generator (Philox4x32-10; Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3") gives every draw an address: key = stream seed, counter = (draw block, sequence index).
So a sequence depends on nothing but (graph, stream seed, index). Draw number d of a sequence is
word d mod 4 of block d // 4, one draw per node and step in topological order, the token last.

Each draw is turned into a state by an alias table (Walker 1977, built as by Vose 1991) held in
one 64-bit word per column, so a state costs one multiplication and one load whatever the number
of states. A state's probability is exact to 2**-32 times the number of states.

Sequences advance in groups of ``LANES`` in lock-step: the loops over lanes become vector
instructions, and the lanes' memory latencies overlap.

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
from lrray.gssm.graph import GraphConfig
from lrray.gssm.kernels import table_entries

AliasTables = dict[str, NDArray[np.uint64]]
"""Node name -> alias table ``[r, states]``."""

LANES = 64
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


@njit(cache=True, nogil=True)
def alias_table(probabilities):
    """Alias table of every row of ``[r, states]`` as ``uint64`` words of the same shape.

    A word holds the column's threshold in units of 2**-32 (upper 48 bits) and its alias (lower
    16): a uniform 32-bit fraction below the threshold keeps the column, else takes the alias.
    """
    rows, states = probabilities.shape
    words = np.empty((rows, states), np.uint64)
    small = np.empty(states, np.int64)
    large = np.empty(states, np.int64)
    scaled = np.empty(states)
    for r in range(rows):
        num_small = num_large = 0
        for i in range(states):
            scaled[i] = probabilities[r, i] * states
            if scaled[i] < 1.0:
                small[num_small] = i
                num_small += 1
            else:
                large[num_large] = i
                num_large += 1
        while num_small > 0 and num_large > 0:
            num_small -= 1
            low, high = small[num_small], large[num_large - 1]
            threshold = _U64(np.rint(scaled[low] * 4294967296.0))
            words[r, low] = (threshold << _U64(16)) | _U64(high)
            scaled[high] -= 1.0 - scaled[low]
            if scaled[high] < 1.0:
                num_large -= 1
                small[num_small] = high
                num_small += 1
        for j in range(num_large):
            words[r, large[j]] = (_U64(4294967296) << _U64(16)) | _U64(large[j])
        # What is left among the small ones is 1 up to rounding.
        for j in range(num_small):
            words[r, small[j]] = (_U64(4294967296) << _U64(16)) | _U64(small[j])
    return words


def alias_tables(tables: dict[str, NDArray[np.float64]]) -> AliasTables:
    """Alias tables of several nodes."""
    return {name: alias_table(table) for name, table in tables.items()}


@njit(cache=True, nogil=True)
def philox(out, key_low, key_high, block, index_low, index_high):
    """Writes Philox4x32-10 of counter (block, index) into ``out`` ``[4, l]`` for every lane."""
    for lane in range(LANES):
        c0, c1, c2, c3 = _U32(block), _U32(block >> 32), index_low[lane], index_high[lane]
        k0, k1 = _U32(key_low), _U32(key_high)
        for _ in range(10):
            product0 = _U64(0xD2511F53) * _U64(c0)
            product1 = _U64(0xCD9E8D57) * _U64(c2)
            c0 = _U32(product1 >> _U64(32)) ^ c1 ^ k0
            c2 = _U32(product0 >> _U64(32)) ^ c3 ^ k1
            c1, c3 = _U32(product1), _U32(product0)
            k0 = _U32(k0 + _U32(0x9E3779B9))
            k1 = _U32(k1 + _U32(0xBB67AE85))
        out[0, lane], out[1, lane], out[2, lane], out[3, lane] = c0, c1, c2, c3


@njit(cache=True, nogil=True, error_model="numpy")
def _sample(tokens, first, every, key, input_start, source, stride, dim, offset, words):
    """Fills ``tokens`` ``[sequences, steps]`` with the sequences ``first, first + every, …``.

    ``offset`` ``[n, l]`` says where in ``words`` a node's alias table lies for each lane.
    """
    num_sequences, num_steps = tokens.shape
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
        tokens[group : group + width, 0] = 0
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
            for lane in range(width):
                tokens[group + lane, step] = state[num_nodes - 1, lane]


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


def fill_shared(
    tokens: NDArray[np.unsignedinteger],
    first: int,
    every: int,
    stream_seed: int,
    plan: SamplingPlan,
    tables: LaneTables,
    num_threads: int,
) -> None:
    """Fills ``tokens`` with sequences ``first, first + every, …`` that share all tables."""

    def fill(low: int, high: int) -> None:
        _run(tokens[low:high], first + low * every, every, stream_seed, plan, tables)

    over_chunks(fill, len(tokens), num_threads)


def check_context_tables(graph: GraphConfig, num_sequences: int, num_threads: int) -> None:
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


def fill_in_context(
    tokens: NDArray[np.unsignedinteger],
    first: int,
    every: int,
    stream_seed: int,
    plan: SamplingPlan,
    shared: AliasTables,
    redraw: Callable[[int], AliasTables],
    num_threads: int,
) -> None:
    """Fills ``tokens`` where sequence ``index`` has tables of its own from ``redraw(index)``."""

    def fill(low: int, high: int) -> None:
        for group in range(low, high, LANES):
            end = min(group + LANES, high)
            own = [redraw(first + i * every) for i in range(group, end)]
            tables = LaneTables.of(plan, shared, own)
            _run(tokens[group:end], first + group * every, every, stream_seed, plan, tables)

    over_chunks(fill, len(tokens), num_threads)


def _run(
    tokens: NDArray[np.unsignedinteger],
    first: int,
    every: int,
    stream_seed: int,
    plan: SamplingPlan,
    tables: LaneTables,
) -> None:
    address = (_U64(first), _U64(every), _U64(stream_seed))
    shape = (plan.input_start, plan.source, plan.stride, plan.dim)
    _sample(tokens, *address, *shape, tables.offset, tables.words)


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
