"""Difficulty of a graph, estimated over kernel draws (seeds) with few sequences each.

The spread between kernel draws is 10 to 100 times that within one, so many seeds with few
sequences estimate the mean best. Each draw reads a stream of sequences of its own: draws that share
one have errors in common, which no number of draws averages out. zlib is primed with earlier
sequences of the same draw, which removes its small-sample bias, and runs at level 9 on some draws
alone (:mod:`lrray.difficulty.two_level`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrray.difficulty.compressors import (
    DIFFICULTY_LEVEL,
    PRIMER_TOKENS,
    compress_bits_per_token,
    compressor_label,
    gzip_difficulty,
)
from lrray.difficulty.two_level import HANDFUL, contributions, num_exact, num_repeats
from lrray.gssm.graph import GraphConfig
from lrray.gssm.kernels import table_entries

if TYPE_CHECKING:  # with Numba, which the settings of a study need not wait for
    from lrray.gssm import GSSM

LN2 = float(np.log(2))

CHEAP_LEVEL = 6
"""Level of zlib that stands in for level 9."""

FIRST_SCORED = 2
"""Sequences of each of the first draws that are scored, which say how many are worth it."""


@dataclass(frozen=True)
class SampleSize:
    """How much of each kernel draw is measured."""

    sequences: int
    """Sequences compressed, beside those that prime zlib."""
    seq_len: int
    """Tokens per sequence."""
    entropy_sequences: int
    """The most of them that are scored exactly, as far as their share of the error is worth it;
    0 leaves the entropy out."""
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
    """Measure name -> ``[seeds]``: gzip, entropy_bits, and bits/token per compressor.

    Those of gzip are contributions to its mean: see
    :func:`lrray.difficulty.two_level.contributions`."""
    level_9_draws: int
    """How many of the seeds zlib compressed at level 9, the first ones."""
    seconds: float

    def mean(self, measure: str) -> float:
        """Mean over seeds."""
        return float(self.values[measure].mean())

    def standard_error(self, measure: str) -> float:
        """Standard error of the mean over seeds; NaN for a single one."""
        values = self.values[measure]
        return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain data: means, standard errors and what every seed adds to them."""
        row: dict[str, Any] = {}
        for name in self.values:
            row[name] = self.mean(name)
            row[f"{name}_se"] = self.standard_error(name)
        row["seconds"] = self.seconds
        row["seeds"] = list(self.seeds)
        row["measured"] = {"level_9_draws": self.level_9_draws}
        row["per_seed"] = {name: values.tolist() for name, values in self.values.items()}
        return row


@dataclass(frozen=True)
class Costs:
    """What the parts of a kernel draw take, in seconds.

    Counted from the graph's size at rates that were measured once (`benchmarks/difficulty.py`):
    the clock would make the split, and so the numbers, depend on what else a machine does.
    """

    base: float
    """Kernels, sampling and zlib at the cheap level."""
    level_9: float
    """zlib at level 9."""
    sequence: float
    """The exact entropy of one sequence."""

    @classmethod
    def of(cls, graph: GraphConfig, size: SampleSize) -> Costs:
        """Those of a draw of a graph."""
        tokens = size.sequences * size.seq_len
        entries = sum(table_entries(graph, node) for node in graph.nodes)
        sampled = len(graph.nodes) * (tokens + PRIMER_TOKENS)
        states = graph.num_joint_states * sum(node.state_dim for node in graph.latents)
        return cls(
            base=65e-9 * entries + 6e-9 * sampled + 150e-9 * tokens,
            level_9=2.1e-6 * tokens,
            sequence=0.48e-9 * states * size.seq_len,
        )

    @property
    def worth_scoring(self) -> float:
        """Share of draws to score exactly where the entropy only stands beside the target.

        All, unless a sequence takes longer than the rest of its draw: then about as much time goes
        to it as to the rest.
        """
        return min(1.0, self.base / self.sequence)

    def share(self, num_draws: int) -> float:
        """Mean time of ``num_draws`` draws over that of one at level 9 alone, as a rule."""
        if num_draws <= HANDFUL:
            return 1.0
        exact = self.level_9 * HANDFUL / num_draws
        return (self.base + self.sequence + exact) / (self.base + self.sequence + self.level_9)


def measure_draw(gssm: GSSM, size: SampleSize, num_threads: int | None = None) -> dict[str, float]:
    """Measures one kernel draw, all of it at level 9.

    Returns:
        ``gzip`` (bytes per token, primed), ``entropy_bits`` (exact, bits per predicted token;
        left out with ``entropy_sequences=0``), ``information_bits`` where asked for (what the exact
        table of token frequencies loses on the same tokens, minus the entropy), and each further
        compressor's bits per token.
    """
    sample = _Sample.of(gssm, size, num_threads)
    measures = {"gzip": sample.gzip()}
    if size.entropy_sequences:
        bits = sample.bits(gssm, size.entropy_sequences, num_threads)
        measures["entropy_bits"] = float(bits.mean())
        if size.information:
            scored = sample.data[: size.entropy_sequences]
            unigram = gssm.markov_surrogate(0).nll(scored, per_token=True).mean() / LN2
            measures["information_bits"] = float(unigram) - measures["entropy_bits"]
    return {**measures, **sample.compressed(size.compressors)}


@dataclass(frozen=True)
class _Sample:
    """Sequences of one draw."""

    primer: NDArray[Any]
    data: NDArray[Any]

    @classmethod
    def of(cls, gssm: GSSM, size: SampleSize, num_threads: int | None) -> _Sample:
        primer = size.primer_sequences
        tokens = gssm.sample(
            primer + size.sequences, size.seq_len, stream_seed=gssm.seed, start=size.start,
            num_threads=num_threads,
        )  # fmt: skip
        return cls(tokens[:primer], tokens[primer:])

    def gzip(self, level: int = DIFFICULTY_LEVEL) -> float:
        return gzip_difficulty(self.data, primer=self.primer, level=level)

    def bits(self, gssm: GSSM, count: int, num_threads: int | None) -> NDArray[np.float64]:
        """Exact bits per predicted token of each of the first ``count`` sequences."""
        nats = gssm.nll(self.data[:count], num_threads=num_threads)
        bits: NDArray[np.float64] = nats / LN2 / (self.data.shape[1] - 1)
        return bits

    def compressed(self, names: Sequence[str]) -> dict[str, float]:
        return {compressor_label(name): compress_bits_per_token(self.data, name) for name in names}


def estimate(
    graph: GraphConfig, seeds: Sequence[int], size: SampleSize, num_threads: int | None = None
) -> Estimate:
    """Measures a graph, alphas set, over kernel draws.

    The first ``HANDFUL`` of them are measured at both levels of zlib and scored on several
    sequences, and say how the rest is measured for the least error in its time. Up to so many are
    all measured at level 9, on every sequence.

    Cost: a draw of 16 x 2,048 tokens takes about 9 ms on one core, and 70 ms more at level 9.
    """
    began = time.perf_counter()
    if len(seeds) <= HANDFUL or size.information:  # draws are judged each by itself
        values, exact = _measured_whole(graph, seeds, size, num_threads), len(seeds)
    else:
        draws = _SplitDraws(graph, size, num_threads)
        values = draws.measure(seeds)
        exact = len(draws.exact)
    return Estimate(tuple(seeds), values, exact, time.perf_counter() - began)


Values = dict[str, NDArray[np.float64]]
"""Measure name -> ``[draws]``."""


def _measured_whole(
    graph: GraphConfig, seeds: Sequence[int], size: SampleSize, num_threads: int | None
) -> Values:
    from lrray.gssm import GSSM

    rows = [measure_draw(GSSM(graph, seed), size, num_threads) for seed in seeds]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


class _SplitDraws:
    """Kernel draws of which the first say how the others are measured."""

    def __init__(self, graph: GraphConfig, size: SampleSize, num_threads: int | None) -> None:
        self._graph, self._size, self._num_threads = graph, size, num_threads
        self.exact: list[float] = []
        self._cheap: list[float] = []
        self._bits: list[NDArray[np.float64]] = []
        self._others: list[dict[str, float]] = []

    def measure(self, seeds: Sequence[int]) -> Values:
        """Measures more than ``HANDFUL`` draws."""
        costs, most = Costs.of(self._graph, self._size), self._size.entropy_sequences
        num_scored = min(FIRST_SCORED, most)
        for seed in seeds[:HANDFUL]:
            self.exact.append(self._add(seed, num_scored).gzip())
        if num_scored:
            num_scored = num_repeats(self._bits, most, costs.base, costs.sequence)
        for seed in seeds[HANDFUL:]:
            self._add(seed, num_scored)
        base = costs.base + num_scored * costs.sequence
        for seed in seeds[HANDFUL : num_exact(self._cheap, self.exact, base, costs.level_9)]:
            self.exact.append(self._sample(seed)[1].gzip())  # its sequences were not kept
        return self._values()

    def _sample(self, seed: int) -> tuple[GSSM, _Sample]:
        from lrray.gssm import GSSM

        gssm = GSSM(self._graph, seed)
        return gssm, _Sample.of(gssm, self._size, self._num_threads)

    def _add(self, seed: int, num_scored: int) -> _Sample:
        """Measures the next draw, but for level 9."""
        gssm, sample = self._sample(seed)
        self._cheap.append(sample.gzip(CHEAP_LEVEL))
        if num_scored:
            self._bits.append(sample.bits(gssm, num_scored, self._num_threads))
        self._others.append(sample.compressed(self._size.compressors))
        return sample

    def _values(self) -> Values:
        found = {"gzip": contributions(self._cheap, self.exact)}
        if self._bits:
            found["entropy_bits"] = np.array([bits.mean() for bits in self._bits])
        for name in self._others[0]:
            found[name] = np.array([row[name] for row in self._others])
        return found


def noise_ceiling(metric: str, vocab_size: int) -> float:
    """Largest difficulty that tokens of this vocabulary can have: that of uniform noise."""
    if metric == "entropy_bits":
        return float(np.log2(vocab_size))
    noise = np.random.default_rng(0).integers(vocab_size, size=PRIMER_TOKENS * 5)
    return gzip_difficulty(noise[PRIMER_TOKENS:], primer=noise[:PRIMER_TOKENS])
