"""The GSSM itself: a graph with drawn kernels that samples sequences and scores them exactly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.gssm.graph import GraphConfig
from lrray.gssm.kernels import Kernels, conditional_table, draw_kernels, draw_node
from lrray.gssm.likelihood import ForwardPlan, check_workspace, token_nll
from lrray.gssm.sampling import (
    AliasTables,
    LaneTables,
    SamplingPlan,
    alias_tables,
    check_context_tables,
    fill_in_context,
    fill_shared,
)

Tables = dict[str, NDArray[np.float64]]
Precision = Literal["float64", "float32"]

# Generators of kernels that change during a run; the numbers keep them apart.
_CONTEXT_OF_SEQUENCE, _CONTEXT_OF_ESTIMATE = 1, 2


@dataclass(frozen=True)
class MonteCarloNLL:
    """A Monte Carlo estimate of sequences' negative log-likelihood, each field ``[sequences]``."""

    nll: NDArray[np.float64]
    """Nats, summed over the predicted tokens."""
    standard_error: NDArray[np.float64]
    """Nats; by the delta method from the spread of the draws' likelihoods."""
    effective_draws: NDArray[np.float64]
    """(sum w)**2 / sum w**2 over the draws' likelihoods w; near 1, one draw decides everything."""


class GSSM:
    """A graph-structured sequential model: discrete latents that emit one token per step.

    Args:
        graph: the checked graph, every node with an alpha.
        seed: of the kernels (see :func:`lrray.gssm.kernels.draw_kernels`).
    """

    def __init__(self, graph: GraphConfig, seed: int) -> None:
        self.graph = graph
        self.seed = checked_integer(seed, "seed")
        self.kernels: Kernels = draw_kernels(graph, self.seed)
        self._forward_plans: dict[str, ForwardPlan] = {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | GraphConfig, seed: int) -> GSSM:
        """Builds a GSSM from ``{"nodes": [...]}``.

        Raises:
            LrrayError: a rule of the graph is broken; the message names the key path.
        """
        graph = config if isinstance(config, GraphConfig) else parse(GraphConfig, config, "graph")
        return cls(graph, seed)

    @property
    def vocab_size(self) -> int:
        """Number of distinct tokens."""
        return self.graph.observed.state_dim

    @property
    def token_dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Smallest integer type that holds a token."""
        return np.uint8 if self.vocab_size <= 256 else np.uint16

    @cached_property
    def tables(self) -> Tables:
        """p(new state | inputs) of every node as ``[inputs, states]``, rows summing to one."""
        return {
            node.name: conditional_table(self.graph, node, self.kernels[node.name])
            for node in self.graph.nodes
        }

    @cached_property
    def _sampling_plan(self) -> SamplingPlan:
        return SamplingPlan.of(self.graph)

    @cached_property
    def _lane_tables(self) -> LaneTables:
        return LaneTables.of(self._sampling_plan, alias_tables(self.tables))

    @cached_property
    def _shared_tables(self) -> AliasTables:
        own = self._context_nodes
        return alias_tables({name: t for name, t in self.tables.items() if name not in own})

    @cached_property
    def _context_nodes(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.graph.nodes if node.mode == "context")

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
        """Samples sequences ``start, start + every, …`` of a stream.

        A sequence depends on (graph, seed, stream_seed, its index) alone, not on how many are
        drawn at once; a shorter one is the beginning of a longer one.

        Args:
            num_sequences: how many.
            seq_len: tokens per sequence, the begin token included.
            stream_seed: which stream; 0 <= stream_seed < 2**64.
            start: index of the first sequence; 0 <= start < 2**63.
            num_threads: at least 1; default as in :func:`default_threads`.
            every: distance between two sequences' indices; 1 <= every < 2**32.

        Returns:
            ``[num_sequences, seq_len]`` of uint8 (uint16 above 256 tokens); column 0 is 0.

        Raises:
            LrrayError: a number is out of range; tables of ``context`` nodes do not fit in memory.
        """
        num_sequences = checked_integer(num_sequences, "num_sequences", high=2**63)
        seq_len = checked_integer(seq_len, "seq_len", low=1, high=2**63)
        start = checked_integer(start, "start", high=2**63)
        every = checked_integer(every, "every", low=1, high=2**32)
        stream_seed = checked_integer(stream_seed, "stream_seed", high=2**64)
        try:
            tokens = np.empty((num_sequences, seq_len), self.token_dtype)
        except (ValueError, MemoryError):
            raise LrrayError(
                "num_sequences x seq_len", "the tokens must fit in memory",
                got=f"{num_sequences} x {seq_len}",
                fix="sample fewer at a time and move start along",
            ) from None  # fmt: skip
        plan, threads = self._sampling_plan, _checked_threads(num_threads)
        if not self._context_nodes:
            fill_shared(tokens, start, every, stream_seed, plan, self._lane_tables, threads)
            return tokens

        def redraw(index: int) -> AliasTables:
            return alias_tables(self._redraw_context(_CONTEXT_OF_SEQUENCE, stream_seed, index))

        check_context_tables(self.graph, num_sequences, threads)
        shared = self._shared_tables
        fill_in_context(tokens, start, every, stream_seed, plan, shared, redraw, threads)
        return tokens

    def _redraw_context(self, purpose: int, seed: int, index: int) -> Tables:
        """New conditional tables of the ``context`` nodes, a pure function of the arguments."""
        address = np.array([purpose, self.seed, seed, index], np.uint64).view(np.uint32)
        rng = np.random.default_rng(np.random.SeedSequence(address.tolist()))
        tables = {}
        for name in self._context_nodes:
            node = self.graph.node(name)
            tables[name] = conditional_table(self.graph, node, draw_node(self.graph, node, rng))
        return tables

    def nll(
        self,
        tokens: ArrayLike,
        *,
        per_token: bool = False,
        dtype: Precision = "float64",
        num_threads: int | None = None,
    ) -> NDArray[np.float64]:
        """Exact negative log-likelihood in nats: the least loss that any model can expect.

        Args:
            tokens: ``[N, T]`` integers, column 0 the begin token 0.
            per_token: whether to keep the T - 1 predicted tokens apart.
            dtype: arithmetic of the recursion; float32 agrees to about 1e-6 per token, and a
                sequence too improbable for its range is scored again in float64.
            num_threads: at least 1; default as in :func:`default_threads`.

        Returns:
            ``[N]``, summed over predicted tokens, or ``[N, T - 1]`` with ``per_token``.

        Raises:
            LrrayError: bad tokens, a joint state space too large, or a ``context`` graph, whose
                likelihood has no closed form (:meth:`nll_monte_carlo` estimates it).
        """
        if self._context_nodes:
            raise LrrayError(
                f"node {self._context_nodes[0]}", "a context graph has no closed-form likelihood",
                fix="call nll_monte_carlo, which estimates it with a standard error",
            )  # fmt: skip
        checked, threads = self._checked_tokens(tokens), _checked_threads(num_threads)
        check_workspace(self.graph, threads)
        plan = self._forward_plan(dtype)
        result = token_nll(plan, checked, threads)
        beyond = ~(result < plan.largest_nll).all(axis=1)  # NaN, where float32 has left its range
        if beyond.any():
            result[beyond] = token_nll(self._forward_plan("float64"), checked[beyond], threads)
        return result if per_token else result.sum(axis=1)

    def _forward_plan(self, dtype: Precision) -> ForwardPlan:
        if dtype not in self._forward_plans:
            if dtype not in ("float64", "float32"):
                raise LrrayError("dtype", "must be 'float64' or 'float32'", got=dtype)
            plan = ForwardPlan.of(self.graph, self.tables, getattr(np, dtype))
            self._forward_plans[dtype] = plan
        return self._forward_plans[dtype]

    def nll_monte_carlo(
        self, tokens: ArrayLike, num_draws: int = 256, seed: int = 0, num_threads: int | None = None
    ) -> MonteCarloNLL:
        """Estimates the likelihood of a ``context`` graph by averaging over kernel draws.

        The mean over draws of exp(-nll given the draw) is unbiased for the likelihood; its
        logarithm is biased upwards in NLL by about standard_error**2 / 2. Trust it while
        ``effective_draws`` is well above 10: kernels that fit a sequence become exponentially
        rare as it grows, and then every estimate is too high. Short sequences, few states and
        large alpha are within reach; a 2,048-token sequence of a 32-token graph is not.

        Raises:
            LrrayError: as :meth:`nll`; ``num_draws`` below 2.
        """
        num_draws = checked_integer(num_draws, "num_draws", low=2)
        seed = checked_integer(seed, "seed")
        threads = _checked_threads(num_threads)
        checked = self._checked_tokens(tokens)
        check_workspace(self.graph, threads)
        log_likelihood = np.empty((num_draws, len(checked)))
        for draw in range(num_draws):
            redrawn = self._redraw_context(_CONTEXT_OF_ESTIMATE, seed, draw)
            plan = ForwardPlan.of(self.graph, {**self.tables, **redrawn}, np.float64)
            log_likelihood[draw] = -token_nll(plan, checked, threads).sum(axis=1)
        peak = log_likelihood.max(axis=0)
        weight = np.exp(log_likelihood - peak)
        mean = weight.mean(axis=0)
        return MonteCarloNLL(
            nll=-(peak + np.log(mean)),
            standard_error=weight.std(axis=0, ddof=1) / np.sqrt(num_draws) / mean,
            effective_draws=weight.sum(axis=0) ** 2 / (weight**2).sum(axis=0),
        )

    def _checked_tokens(self, tokens: ArrayLike) -> NDArray[Any]:
        try:
            array = np.asarray(tokens)
        except ValueError:  # rows of unequal length
            array = np.array(tokens, object)
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer) or array.shape[1] < 1:
            raise LrrayError(
                "tokens", "must be integers of shape [sequences, steps]",
                got=f"{array.dtype} {array.shape}",
            )  # fmt: skip
        if array.size and (array.min() < 0 or array.max() >= self.vocab_size):
            wrong = array.min() if array.min() < 0 else array.max()
            raise LrrayError("tokens", f"must lie in 0 … {self.vocab_size - 1}", got=int(wrong))
        if array[:, 0].any():
            raise LrrayError(
                "tokens", "column 0 must hold the begin token 0",
                got=int(array[:, 0].max()), fix="score whole sequences, not pieces of them",
            )  # fmt: skip
        return np.ascontiguousarray(array.astype(self.token_dtype, copy=False))


def default_threads() -> int:
    """``OMP_NUM_THREADS`` where it is set (Ray sets it to a task's CPUs), else usable cores."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) > 0:
        return int(limit)
    # Not every system can restrict a process to some of the cores.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _checked_threads(num_threads: int | None) -> int:
    if num_threads is None:
        return default_threads()
    return checked_integer(num_threads, "num_threads", low=1, high=1025)


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
