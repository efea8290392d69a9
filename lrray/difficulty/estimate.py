"""Difficulty of a graph, estimated over kernel draws (seeds) with few sequences each.

The spread between kernel draws is 10 to 100 times that within one, so many seeds with few
sequences estimate the mean best; the same seeds at every (alpha_X, alpha_Z) let differences
cancel. zlib is primed with earlier sequences of the same draw, which removes its small-sample bias.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrray.difficulty.compressors import (
    PRIMER_TOKENS,
    compress_bits_per_token,
    compressor_label,
    gzip_difficulty,
)
from lrray.gssm.graph import GraphConfig

if TYPE_CHECKING:  # with Numba, which the settings of a study need not wait for
    from lrray.gssm import GSSM

LN2 = float(np.log(2))


@dataclass(frozen=True)
class SampleSize:
    """How much of each kernel draw is measured."""

    sequences: int
    """Sequences compressed, beside those that prime zlib."""
    seq_len: int
    """Tokens per sequence."""
    entropy_sequences: int
    """How many of them are scored exactly; 0 leaves the entropy out."""
    compressors: tuple[str, ...] = ()
    """Further compressors, measured in bits per token."""
    start: int = 0
    """Index of the first sequence in the stream; another one gives fresh sequences."""
    information: bool = False
    """Whether to measure what there is to learn beyond token frequencies, on the sequences that are
    scored exactly."""

    @property
    def primer_sequences(self) -> int:
        """Sequences needed to fill zlib's window."""
        return -(-PRIMER_TOKENS // self.seq_len)


@dataclass(frozen=True)
class Estimate:
    """Measures of one (alpha_X, alpha_Z) over seeds."""

    seeds: tuple[int, ...]
    values: dict[str, NDArray[np.float64]] = field(repr=False)
    """Measure name -> ``[seeds]``: gzip, entropy_bits, and bits/token per compressor."""
    seconds: float

    def mean(self, measure: str) -> float:
        """Mean over seeds."""
        return float(self.values[measure].mean())

    def standard_error(self, measure: str) -> float:
        """Standard error of the mean over seeds; NaN for a single one."""
        values = self.values[measure]
        return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain data: means, standard errors and the value of every seed."""
        row: dict[str, Any] = {}
        for name in self.values:
            row[name] = self.mean(name)
            row[f"{name}_se"] = self.standard_error(name)
        row["seconds"] = self.seconds
        row["seeds"] = list(self.seeds)
        row["per_seed"] = {name: values.tolist() for name, values in self.values.items()}
        return row


def measure_draw(gssm: GSSM, size: SampleSize, num_threads: int | None = None) -> dict[str, float]:
    """Measures one kernel draw.

    Returns:
        ``gzip`` (bytes per token, primed), ``entropy_bits`` (exact, bits per predicted token;
        left out with ``entropy_sequences=0``), ``information_bits`` where asked for (what the exact
        table of token frequencies loses on the same tokens, minus the entropy), and each further
        compressor's bits per token.
    """
    primer = size.primer_sequences
    tokens = gssm.sample(
        primer + size.sequences, size.seq_len, start=size.start, num_threads=num_threads
    )
    data = tokens[primer:]
    measures = {"gzip": gzip_difficulty(data, primer=tokens[:primer])}
    if size.entropy_sequences:
        scored = data[: size.entropy_sequences]
        nats = gssm.nll(scored, num_threads=num_threads).sum()
        measures["entropy_bits"] = float(nats) / LN2 / (len(scored) * (size.seq_len - 1))
        if size.information:
            unigram = gssm.markov_surrogate(0).nll(scored, per_token=True).mean() / LN2
            measures["information_bits"] = float(unigram) - measures["entropy_bits"]
    for name in size.compressors:
        measures[compressor_label(name)] = compress_bits_per_token(data, name)
    return measures


def estimate(
    graph: GraphConfig, seeds: Sequence[int], size: SampleSize, num_threads: int | None = None
) -> Estimate:
    """Measures a graph, alphas set, over kernel draws.

    Cost: a draw of 16 x 2,048 tokens takes about 0.1 s on one core, nearly all of it zlib's.
    """
    from lrray.gssm import GSSM

    began = time.perf_counter()
    rows = [measure_draw(GSSM(graph, seed), size, num_threads) for seed in seeds]
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Estimate(tuple(seeds), values, time.perf_counter() - began)


def noise_ceiling(metric: str, vocab_size: int) -> float:
    """Largest difficulty that tokens of this vocabulary can have: that of uniform noise."""
    if metric == "entropy_bits":
        return float(np.log2(vocab_size))
    noise = np.random.default_rng(0).integers(vocab_size, size=PRIMER_TOKENS * 5)
    return gzip_difficulty(noise[PRIMER_TOKENS:], primer=noise[:PRIMER_TOKENS])
