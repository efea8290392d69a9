"""Compiled random draws: a counter-based generator, and alias tables that turn draws into states.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") gives every draw
an address: key = stream seed, counter = (draw block, sequence index). Draw number d of a sequence
is word d mod 4 of block d // 4.

A draw becomes a state by an alias table (Walker 1977, built as by Vose 1991) held in one 64-bit
word per column, so a state costs one multiplication and one load whatever the number of states. A
state's probability is exact to 2**-32 times the number of states.

Sequences advance in groups of ``LANES`` in lock-step: the loops over lanes become vector
instructions, and the lanes' memory latencies overlap.

Axis letters: l lane, r row of a table.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

AliasTables = dict[str, NDArray[np.uint64]]
"""Node name -> alias table ``[r, states]``."""

LANES = 64

_U32, _U64 = np.uint32, np.uint64


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
