"""The data stream in plain Python, from its documentation alone."""

from __future__ import annotations

from collections.abc import Iterator

from numpy.typing import NDArray

from lrray.gssm import GSSM

M32 = 2**32 - 1


def philox4x32(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Philox4x32-10 of Salmon et al. 2011."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        product0, product1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1 = (product1 >> 32) ^ c1 ^ k0, product1 & M32
        c2, c3 = (product0 >> 32) ^ c3 ^ k1, product0 & M32
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return c0, c1, c2, c3


def draws(stream_seed: int, index: int) -> Iterator[int]:
    """The 32-bit draws of one sequence: key = stream seed, counter = (block, index)."""
    key = (stream_seed & M32, stream_seed >> 32)
    block = 0
    while True:
        yield from philox4x32((block, 0, index & M32, index >> 32), key)
        block += 1


def alias(row: list[float]) -> list[tuple[int, int]]:
    """Vose's alias table of one row: (threshold in units of 2**-32, alias) per column."""
    scaled = [p * len(row) for p in row]
    small = [i for i, p in enumerate(scaled) if p < 1]
    large = [i for i, p in enumerate(scaled) if p >= 1]
    columns = [(2**32, i) for i in range(len(row))]
    while small and large:
        low, high = small.pop(), large[-1]
        columns[low] = (round(scaled[low] * 2**32), high)
        scaled[high] -= 1 - scaled[low]
        if scaled[high] < 1:
            small.append(large.pop())
    return columns


def sequence(
    gssm: GSSM, tables: dict[str, NDArray], stream_seed: int, index: int, seq_len: int
) -> list[int]:
    """Tokens of one sequence, given the tables that it is drawn from."""
    token = gssm.graph.observed.name
    return [state[token] for state in states(gssm, tables, stream_seed, index, seq_len)]


def states(
    gssm: GSSM, tables: dict[str, NDArray], stream_seed: int, index: int, seq_len: int
) -> list[dict[str, int]]:
    """States of all nodes at every step of one sequence."""
    graph, draw = gssm.graph, draws(stream_seed, index)
    columns = {name: [alias(row) for row in table.tolist()] for name, table in tables.items()}
    state = {node.name: 0 for node in graph.nodes}
    path = [state.copy()]
    for _ in range(1, seq_len):
        for node in (*graph.latents, graph.observed):
            row = 0
            for name, dim in zip(graph.inputs(node), graph.input_dims(node), strict=True):
                row = row * dim + state[name]
            state[node.name] = drawn_state(columns[node.name][row], next(draw))
        path.append(state.copy())
    return path


def drawn_state(columns: list[tuple[int, int]], draw: int) -> int:
    """The state that an alias table makes of a 32-bit draw."""
    column, fraction = divmod(draw * len(columns), 2**32)
    threshold, other = columns[column]
    return column if fraction < threshold else other
