"""Compressed size of token sequences, by general-purpose compressors or one of the user's own.

Of the user's own is any function from bytes to their compressed size in bytes, by ``module:name``.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyppmd
import zstandard
from numpy.typing import ArrayLike, NDArray

from lrray.config import Problem
from lrray.errors import LrrayError, did_you_mean
from lrray.references import failure, is_reference, load_reference

PRIMER_TOKENS = 4096
"""Tokens that fill zlib's window of 32 KiB, stored as int64."""

DIFFICULTY_LEVEL = 9
"""Level of zlib that the difficulty is defined by."""


def gzip_difficulty(
    tokens: ArrayLike, primer: ArrayLike | None = None, level: int = DIFFICULTY_LEVEL
) -> float:
    """Compressed bytes per token of int64 tokens laid end to end, by zlib.

    Args:
        tokens: integers of any shape, C order.
        primer: tokens of earlier sequences of the same source; the last 4,096 fill zlib's window
            beforehand. Without it small samples read too high, by about 0.01 at 16 x 2,048 tokens.
        level: of zlib. The difficulty is that of level 9; another one is a number of its own.

    Returns:
        Bytes per token, where 0.75 means 6 bits per token.

    Raises:
        LrrayError: no tokens, or not integers.
    """
    array = _checked(tokens)
    data = array.astype("<i8").tobytes()
    if primer is None:
        return len(zlib.compress(data, level=level)) / array.size
    window = _checked(primer).ravel()[-PRIMER_TOKENS:].astype("<i8").tobytes()
    compressor = zlib.compressobj(level, zdict=window)
    return len(compressor.compress(data) + compressor.flush()) / array.size


def compress_bits_per_token(tokens: ArrayLike, compressor: str = "zlib") -> float:
    """Compressed bits per token.

    Args:
        tokens: integers of any shape, laid end to end in C order.
        compressor: ``zlib`` stores tokens as int64, so that this is 8 x :func:`gzip_difficulty`;
            ``zlib_bytes``, ``bz2``, ``lzma``, ``zstd`` and ``ppmd`` store each in the fewest
            whole bytes that hold it, as those of ``module:name`` get them. All shipped ones run at
            their highest usual level.

    Raises:
        LrrayError: no tokens, not non-negative integers, or a compressor that cannot be used.
    """
    array = _checked(tokens)
    if compressor == "zlib":
        return 8 * gzip_difficulty(array)
    try:
        size = _find(compressor)
    except Problem as problem:
        raise problem.error("compressor") from None
    if array.min() < 0:
        raise LrrayError("tokens", "must not be negative", got=int(array.min()))
    smallest = np.min_scalar_type(int(array.max()))
    data = array.astype(smallest.newbyteorder("<")).tobytes()
    return 8 * size(data) / array.size


def compressor_label(compressor: str) -> str:
    """What its numbers are called: the name, of ``module:name`` the part after the colon."""
    return compressor.rpartition(":")[2]


def check_compressors(compressors: Sequence[str], known: Sequence[str]) -> None:
    """Checks the ``compressors`` of a study; each of the user's own is tried on a few bytes.

    Args:
        compressors: as the study names them.
        known: names of shipped ones that it may give.

    Raises:
        Problem: one is unknown, cannot be loaded, gives no size, or has another number's name.
    """
    labels: dict[str, str] = dict.fromkeys(_TAKEN, "a number of lrray's own")
    for i, name in enumerate(compressors):
        at = f"compressors[{i}]"
        if not is_reference(name):
            if name not in known:
                fix = did_you_mean(name, known)
                raise Problem("unknown compressor", at=at, got=name, fix=fix)
            continue
        label = compressor_label(name)
        if label in labels:
            rule = f"its numbers would be called {label}, like {labels[label]}"
            raise Problem(rule, at=at, got=name, fix="give the function another name")
        labels[label] = name
        try:
            _find(name, at)(_TRIAL)
        except LrrayError as error:
            raise Problem(error.rule, at=at, got=error.got, fix=error.fix) from None


def _find(name: str, at: str = "") -> Callable[[bytes], int]:
    """The function behind a name.

    Raises:
        Problem: there is none.
    """
    if is_reference(name):
        own = load_reference(name, at)
        return lambda data: _own_size(own, name, data)
    if name not in COMPRESSORS:
        fix = did_you_mean(name, ["zlib", *COMPRESSORS])
        raise Problem("must be a known name", at=at, got=name, fix=fix)
    return COMPRESSORS[name]


def _own_size(compressor: Callable[[bytes], Any], name: str, data: bytes) -> int:
    """What a function of the user's says.

    Raises:
        LrrayError: it fails, or says no size.
    """
    try:
        size = compressor(data)
    except Exception as error:  # whatever a user's function does
        rule = f"must take bytes, but raised {failure(error)}"
        raise LrrayError("compressor", rule, got=name, fix="mend the function") from None
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 0:
        rule = f"{name} must return the compressed size in whole bytes"
        raise LrrayError("compressor", rule, got=size, fix="return len(compressed)")
    return int(size)


def _zstd(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=19).compress(data))


def _ppmd(data: bytes) -> int:
    return len(pyppmd.compress(data, max_order=16, mem_size=64 << 20))


COMPRESSORS: dict[str, Callable[[bytes], int]] = {
    "zlib_bytes": lambda data: len(zlib.compress(data, level=9)),
    "bz2": lambda data: len(bz2.compress(data, compresslevel=9)),
    "lzma": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
    "zstd": _zstd,
    "ppmd": _ppmd,
}
"""Compressed bytes of a byte string, for the compressors that read whole bytes per token."""

_TAKEN = (
    "zlib",
    *COMPRESSORS,
    "gzip",
    "entropy_bits",
    "loss",
    "bound",
    "excess",
    "seconds",
    "seeds",
)
"""Names that numbers beside a compressor's have."""

_TRIAL = bytes(range(256)) * 4


def _checked(tokens: ArrayLike) -> NDArray[Any]:
    array = np.asarray(tokens)
    if not array.size or not np.issubdtype(array.dtype, np.integer):
        raise LrrayError(
            "tokens", "must be a non-empty array of integers", got=f"{array.dtype} {array.shape}"
        )
    return array
