"""Checks of what a caller gives: integers in range, addresses of sequences, tokens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrray.errors import LrrayError


def checked_integer(value: Any, name: str, low: int = 0, high: int = 2**64) -> int:
    """``value`` as int; raises LrrayError unless it is one with low <= value < high."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or not low <= value < high
    ):
        bound = f"2**{high.bit_length() - 1}" if high >= 2**32 else str(high)
        raise LrrayError(name, f"must be an integer with {low} <= {name} < {bound}", got=value)
    return int(value)


@dataclass(frozen=True)
class StreamAddress:
    """Which sequences of which stream to sample: ``start, start + every, …``."""

    num_sequences: int
    seq_len: int
    stream_seed: int
    start: int
    every: int


def checked_stream(
    num_sequences: Any, seq_len: Any, stream_seed: Any, start: Any, every: Any
) -> StreamAddress:
    """The address as plain integers; raises LrrayError where one is out of range."""
    return StreamAddress(
        num_sequences=checked_integer(num_sequences, "num_sequences", high=2**63),
        seq_len=checked_integer(seq_len, "seq_len", low=1, high=2**63),
        start=checked_integer(start, "start", high=2**63),
        every=checked_integer(every, "every", low=1, high=2**32),
        stream_seed=checked_integer(stream_seed, "stream_seed", high=2**64),
    )


def default_threads() -> int:
    """``OMP_NUM_THREADS`` where it is set (Ray sets it to a task's CPUs), else usable cores."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) > 0:
        return int(limit)
    # Not every system can restrict a process to some of the cores.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def checked_threads(num_threads: int | None) -> int:
    """A number of threads, by default :func:`default_threads`; raises LrrayError below 1."""
    if num_threads is None:
        return default_threads()
    return checked_integer(num_threads, "num_threads", low=1, high=1025)


def checked_tokens(tokens: ArrayLike, vocab_size: int) -> NDArray[Any]:
    """Whole sequences as ``[N, T]``, contiguous and of the smallest type.

    Raises:
        LrrayError: other shapes or types, a token out of range, no begin token in column 0.
    """
    try:
        array = np.asarray(tokens)
    except ValueError:  # rows of unequal length
        array = np.array(tokens, object)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer) or array.shape[1] < 1:
        raise LrrayError(
            "tokens", "must be integers of shape [sequences, steps]",
            got=f"{array.dtype} {array.shape}",
        )  # fmt: skip
    if array.size and (array.min() < 0 or array.max() >= vocab_size):
        wrong = array.min() if array.min() < 0 else array.max()
        raise LrrayError("tokens", f"must lie in 0 … {vocab_size - 1}", got=int(wrong))
    if array[:, 0].any():
        raise LrrayError(
            "tokens", "column 0 must hold the begin token 0",
            got=int(array[:, 0].max()), fix="score whole sequences, not pieces of them",
        )  # fmt: skip
    return np.ascontiguousarray(array.astype(smallest_dtype(vocab_size), copy=False))


def empty_tokens(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array for sampled sequences, ``[…, sequences, steps]``.

    Raises:
        LrrayError: it does not fit in memory.
    """
    try:
        return np.empty(shape, dtype)
    except (ValueError, MemoryError):
        raise LrrayError(
            "num_sequences x seq_len", "the tokens must fit in memory",
            got=f"{shape[-2]} x {shape[-1]}",
            fix="sample fewer at a time and move start along",
        ) from None  # fmt: skip


def smallest_dtype(num_states: int) -> type[np.uint8] | type[np.uint16]:
    """Smallest integer type that holds the states 0 … ``num_states`` - 1."""
    return np.uint8 if num_states <= 256 else np.uint16
