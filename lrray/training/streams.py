"""Where training, validation and held-out sequences come from: streams that cannot meet.

A source's sequence is a function of (graph, stream seed, index). Every purpose has stream seeds of
its own, told apart by their two highest bits, so no held-out sequence is ever trained on.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lrray.gssm import SequenceModel

Purpose = Literal["train", "heldout", "validation"]

_PURPOSE_BITS: dict[Purpose, int] = {"train": 1, "heldout": 2, "validation": 3}


def stream_seed(purpose: Purpose, data_seed: int) -> int:
    """Seed of the stream that serves ``purpose``: two bits of purpose, 62 of the hashed seed."""
    words = np.random.SeedSequence(data_seed).generate_state(1, np.uint64)
    return _PURPOSE_BITS[purpose] << 62 | int(words[0]) >> 2


class TokenSource(Protocol):
    """An endless row of training sequences, addressed by position."""

    def rows(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Sequences at the rising ``positions`` as ``[len(positions), seq_len]``."""
        ...


class StreamSource:
    """Infinite data: position i holds sequence i of the training stream."""

    def __init__(self, gssm: SequenceModel, seq_len: int, data_seed: int) -> None:
        self._gssm, self._seq_len = gssm, seq_len
        self._seed = stream_seed("train", data_seed)

    def rows(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Draws the sequences in one call, with those between them where they are unevenly spaced.

        Uses one thread, since the model needs the other cores.
        """
        start, every = int(positions[0]), int(np.gcd.reduce(np.diff(positions))) or 1
        places = (positions - start) // every
        drawn = self._gssm.sample(
            int(places[-1]) + 1, self._seq_len, self._seed, start, num_threads=1, every=every
        )
        return drawn if len(drawn) == len(positions) else drawn[places]


class EpochSource:
    """Finite data: epochs over ``num_sequences`` sequences, each in an order of its own.

    Position p is row p mod n of the permutation of epoch p // n, which depends on the seed and the
    epoch alone; so a resumed run finds its place, and a batch may reach into the next epoch.

    Args:
        sequences: ``[at least n, seq_len]``, an array or an open HDF5 data set.
        num_sequences: n; the first n of ``sequences`` are used.
        shuffle_seed: of the permutations.
    """

    def __init__(self, sequences: Any, num_sequences: int, shuffle_seed: int) -> None:
        self._sequences, self._num_sequences = sequences, num_sequences
        self._seed = shuffle_seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def rows(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Reads the sequences."""
        return self._read(np.array([self._index(position) for position in positions]))

    def _index(self, position: np.int64) -> int:
        epoch, row = divmod(int(position), self._num_sequences)
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(self._num_sequences)
        return int(self._order[row])

    def _read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        # HDF5 reads rows in rising order, each once; the batch wants them in its own order.
        rising, place = np.unique(indices, return_inverse=True)
        rows: NDArray[Any] = self._sequences[rising][place]
        return rows
