"""Markov surrogates: sources with exactly the n-gram law of a GSSM, and no other latents.

Axis letters: n sequence, t step, c context (C order of its tokens), v token.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from lrray.errors import LrrayError
from lrray.gssm.checks import (
    checked_integer,
    checked_stream,
    checked_threads,
    checked_tokens,
    empty_tokens,
    smallest_dtype,
)
from lrray.gssm.draws import LANES, alias_table, philox
from lrray.gssm.filtering import empty_laws
from lrray.gssm.graph import GraphConfig
from lrray.gssm.kernels import MAX_TABLE_ENTRIES
from lrray.gssm.ngrams import MAX_ORDER
from lrray.gssm.sampling import over_chunks

Law = NDArray[np.float64]

_U32, _U64 = np.uint32, np.uint64


class MarkovSurrogate:
    """The Markov source whose every n + 1 tokens in a row follow a GSSM's law in the long run.

    Its sequences begin with the begin token, which carries no information, and are stationary from
    the first predicted token on. Made by :meth:`lrray.gssm.GSSM.markov_surrogate`.

    Args:
        graph: of the GSSM.
        seed: of its kernels.
        law: p(n tokens, then one more), ``[c, v]``; c = v**n.
    """

    has_likelihood = True

    def __init__(self, graph: GraphConfig, seed: int, law: Law) -> None:
        self.graph, self.seed = graph, seed
        self.tables = _conditionals(law)
        """p(token | k tokens before it) for k = 0 … n, each ``[v**k, v]``."""
        self._words = np.concatenate([alias_table(table).ravel() for table in self.tables])
        self._start = np.cumsum([0, *(table.size for table in self.tables[:-1])]).astype(np.uint64)

    @property
    def order(self) -> int:
        """Number n of tokens that the next one depends on."""
        return len(self.tables) - 1

    @property
    def vocab_size(self) -> int:
        """Number of distinct tokens."""
        return self.graph.observed.state_dim

    @property
    def token_dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Smallest integer type that holds a token."""
        return smallest_dtype(self.vocab_size)

    def identity(self) -> dict[str, Any]:
        """Plain data that determine the source."""
        return {
            "graph": self.graph.to_dict(), "graph_seed": self.seed, "surrogate_order": self.order,
        }  # fmt: skip

    def sample(
        self,
        num_sequences: int,
        seq_len: int,
        stream_seed: int = 0,
        start: int = 0,
        num_threads: int | None = None,
        *,
        every: int = 1,
    ) -> NDArray[Any]:
        """Samples sequences ``start, start + every, …``, as :meth:`lrray.gssm.GSSM.sample` does.

        Step t takes draw t - 1 of its sequence.
        """
        address = checked_stream(num_sequences, seq_len, stream_seed, start, every)
        threads = checked_threads(num_threads)
        tokens = empty_tokens((address.num_sequences, address.seq_len), self.token_dtype)

        def fill(low: int, high: int) -> None:
            first = _U64(address.start + low * address.every)
            key, step = _U64(address.stream_seed), _U64(address.every)
            vocab = _U64(self.vocab_size)
            _sample(tokens[low:high], first, step, key, self._words, self._start, vocab)

        over_chunks(fill, len(tokens), threads)
        return tokens

    def nll(
        self, tokens: ArrayLike, *, per_token: bool = False, num_threads: int | None = None
    ) -> NDArray[np.float64]:
        """Exact negative log-likelihood in nats, as :meth:`lrray.gssm.GSSM.nll` gives it.

        Args:
            tokens: ``[n, t]`` integers, column 0 the begin token 0.
            per_token: whether to keep the t - 1 predicted tokens apart.
            num_threads: of no use here; a table is looked up.

        Raises:
            LrrayError: bad tokens.
        """
        checked = checked_tokens(tokens, self.vocab_size).astype(np.int64)
        nll = np.empty((len(checked), checked.shape[1] - 1))
        for step, (table, context) in enumerate(self._contexts(checked)):
            nll[:, step] = table[context, checked[:, step + 1]]
        with np.errstate(divide="ignore"):  # a token that never follows its context: infinite
            nll = -np.log(nll)
        return nll if per_token else nll.sum(axis=1)

    def next_token(self, tokens: ArrayLike) -> Law:
        """p(token | its past), ``[n, t - 1, v]``, as :meth:`lrray.gssm.GSSM.next_token`."""
        checked = checked_tokens(tokens, self.vocab_size).astype(np.int64)
        laws = empty_laws((len(checked), checked.shape[1] - 1, self.vocab_size))
        for step, (table, context) in enumerate(self._contexts(checked)):
            laws[:, step] = table[context]
        return laws

    def markov_surrogate(self, order: int) -> MarkovSurrogate:
        """The Markov source of that order with the same law of n-grams; itself from its own on."""
        order = checked_integer(order, "order", high=MAX_ORDER + 1)
        if order >= self.order:
            return self
        law = np.ones(())
        for table in self.tables[: order + 1]:
            law = law.reshape(-1, 1) * table
        return MarkovSurrogate(self.graph, self.seed, law)

    def _contexts(self, tokens: NDArray[np.int64]) -> Iterator[tuple[Law, NDArray[np.int64]]]:
        """For t = 1, 2, …: the table that predicts token t and each sequence's row in it."""
        context = np.zeros(len(tokens), np.int64)
        for step in range(1, tokens.shape[1]):
            table = self.tables[min(step - 1, self.order)]
            yield table, context
            context = (context * self.vocab_size + tokens[:, step]) % len(self.tables[-1])


def check_surrogate(graph: GraphConfig, order: int) -> None:
    """Refuses an order whose table is too large.

    Raises:
        LrrayError: it would have more than ``MAX_TABLE_ENTRIES`` entries.
    """
    vocab = graph.observed.state_dim
    if vocab ** (order + 1) > MAX_TABLE_ENTRIES:
        raise LrrayError(
            "order",
            f"a surrogate's table must have at most {MAX_TABLE_ENTRIES} entries",
            got=f"{vocab}**{order + 1} = {vocab ** (order + 1)}",
            fix="ask for a lower order or use fewer tokens",
        )


def _conditionals(law: Law) -> list[Law]:
    """p(token | k tokens before) for k = 0 … n, from p(n tokens, one more) ``[v**n, v]``."""
    vocab = law.shape[1]
    tables = []
    while True:
        total = law.sum(axis=1, keepdims=True)
        # A context of probability 0 never occurs; its row must be a law all the same.
        tables.append(np.where(total > 0, law / np.where(total > 0, total, 1), 1 / vocab))
        if len(law) == 1:
            return tables[::-1]
        law = total.reshape(-1, vocab)


@njit(cache=True, nogil=True)
def _sample(tokens, first, every, key, words, start, vocab):
    """Fills ``tokens`` ``[n, t]`` with the sequences ``first, first + every, …``.

    ``words`` holds the alias tables of order 0 … n end to end; ``start`` says where each begins.
    """
    num_sequences, num_steps = tokens.shape
    order = start.size - 1
    contexts = _U64(1)
    for _ in range(order):
        contexts *= vocab
    key_low, key_high = _U32(key), _U32(key >> _U64(32))
    context = np.zeros(LANES, np.uint64)
    draws = np.zeros((4, LANES), np.uint32)
    index_low = np.zeros(LANES, np.uint32)
    index_high = np.zeros(LANES, np.uint32)
    for group in range(0, num_sequences, LANES):
        width = min(LANES, num_sequences - group)
        for lane in range(LANES):
            index = first + every * _U64(group + lane)
            index_low[lane], index_high[lane] = _U32(index), _U32(index >> _U64(32))
        context[:] = 0
        tokens[group : group + width, 0] = 0
        for step in range(1, num_steps):
            draw = step - 1
            word = draw & 3
            if word == 0:
                philox(draws, key_low, key_high, draw >> 2, index_low, index_high)
            table = start[min(draw, order)]
            for lane in range(LANES):
                scaled = _U64(draws[word, lane]) * vocab
                column = scaled >> _U64(32)
                entry = words[table + context[lane] * vocab + column]
                keep = (scaled & _U64(0xFFFFFFFF)) < (entry >> _U64(16))
                token = column if keep else entry & _U64(0xFFFF)
                context[lane] = (context[lane] * vocab + token) % contexts
                if lane < width:
                    tokens[group + lane, step] = token
