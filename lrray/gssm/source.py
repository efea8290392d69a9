"""What training, held-out sets and data files need of a source of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrray.gssm.graph import GraphConfig

if TYPE_CHECKING:
    from lrray.gssm.surrogate import MarkovSurrogate


class SequenceModel(Protocol):
    """A stream of token sequences with a known law: a GSSM or one of its Markov surrogates.

    Sequence i of stream ``stream_seed`` is a pure function of what :meth:`identity` says, the
    stream's seed and i.
    """

    graph: GraphConfig
    """The graph that it is, or that it is made of."""

    @property
    def vocab_size(self) -> int:
        """Number of distinct tokens."""
        ...

    @property
    def token_dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Smallest integer type that holds a token."""
        ...

    @property
    def has_likelihood(self) -> bool:
        """Whether :meth:`nll` and :meth:`next_token` have a closed form."""
        ...

    def identity(self) -> dict[str, Any]:
        """Plain data that determine the source."""
        ...

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
        """Sequences ``start, start + every, …`` of a stream, ``[num_sequences, seq_len]``."""
        ...

    def nll(
        self, tokens: ArrayLike, *, per_token: bool = False, num_threads: int | None = None
    ) -> NDArray[np.float64]:
        """Exact negative log-likelihood in nats, ``[N]`` or per predicted token ``[N, T - 1]``."""
        ...

    def next_token(self, tokens: ArrayLike) -> NDArray[np.float64]:
        """Exact predictive distribution ``[N, T - 1, V]``."""
        ...

    def markov_surrogate(self, order: int) -> MarkovSurrogate:
        """The Markov source of that order with the same law of n-grams."""
        ...
