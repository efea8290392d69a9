"""The GSSM itself: a graph with drawn kernels that samples sequences and scores them exactly."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrray.gssm.checks import (
    checked_integer,
    checked_stream,
    checked_threads,
    checked_tokens,
    empty_tokens,
    smallest_dtype,
)
from lrray.gssm.context import (
    MonteCarloEntropy,
    MonteCarloNLL,
    estimate_ngram_entropy,
    estimate_nll,
)
from lrray.gssm.drawn import DrawnGraph, Precision
from lrray.gssm.filtering import joint_posterior, marginal_posteriors, next_token_laws
from lrray.gssm.likelihood import ForwardPlan, check_workspace, token_nll
from lrray.gssm.ngrams import (
    MAX_ORDER,
    check_order,
    conditional_entropy_bits,
    entropy_by_position,
    long_run,
    ngram_blocks,
)
from lrray.gssm.surrogate import MarkovSurrogate, check_surrogate


class GSSM(DrawnGraph):
    """A graph-structured sequential model: discrete latents that emit one token per step.

    Args:
        graph: the checked graph, every node with an alpha.
        seed: of the kernels (see :func:`lrray.gssm.kernels.draw_kernels`).
    """

    @overload
    def sample(
        self, num_sequences: int, seq_len: int, stream_seed: int = 0, start: int = 0,
        num_threads: int | None = None, *, every: int = 1, return_latents: Literal[False] = False,
    ) -> NDArray[Any]: ...  # fmt: skip
    @overload
    def sample(
        self, num_sequences: int, seq_len: int, stream_seed: int = 0, start: int = 0,
        num_threads: int | None = None, *, every: int = 1, return_latents: Literal[True],
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]: ...  # fmt: skip
    def sample(
        self,
        num_sequences: int,
        seq_len: int,
        stream_seed: int = 0,
        start: int = 0,
        num_threads: int | None = None,
        *,
        every: int = 1,
        return_latents: bool = False,
    ) -> NDArray[Any] | tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Samples sequences ``start, start + every, …`` of a stream.

        A sequence depends on (graph, seed, stream_seed, its index) alone, not on how many are
        drawn at once; a shorter one is the beginning of a longer one.

        Args:
            num_sequences: how many.
            seq_len: tokens per sequence, the begin token included.
            stream_seed: which stream; 0 <= stream_seed < 2**64.
            start: index of the first sequence; 0 <= start < 2**63.
            num_threads: at least 1; default as in :func:`lrray.gssm.checks.default_threads`.
            every: distance between two sequences' indices; 1 <= every < 2**32.
            return_latents: whether to return the latents' states beside the tokens.

        Returns:
            ``[num_sequences, seq_len]`` of uint8 (uint16 above 256 tokens); column 0 is 0.
            With ``return_latents`` also the states of each latent by its name, of the same shape.

        Raises:
            LrrayError: a number is out of range; tables of ``context`` nodes do not fit in memory.
        """
        address = checked_stream(num_sequences, seq_len, stream_seed, start, every)
        threads, latents = checked_threads(num_threads), self.graph.latents
        nodes = (*latents, self.graph.observed) if return_latents else (self.graph.observed,)
        dtype = smallest_dtype(max(node.state_dim for node in nodes))
        kept = empty_tokens((len(nodes), address.num_sequences, address.seq_len), dtype)
        self._sampler.fill(kept, address, threads)
        tokens = kept[-1].astype(self.token_dtype, copy=False)
        if not return_latents:
            return tokens
        return tokens, {node.name: states for node, states in zip(latents, kept, strict=False)}

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
        self._require_fixed_kernels("nll_monte_carlo")
        checked, threads = checked_tokens(tokens, self.vocab_size), checked_threads(num_threads)
        check_workspace(self.graph, threads)
        plan = self.forward_plan(dtype)
        result = token_nll(plan, checked, threads)
        beyond = ~(result < plan.largest_nll).all(axis=1)  # NaN, where float32 has left its range
        if beyond.any():
            result[beyond] = token_nll(self.forward_plan("float64"), checked[beyond], threads)
        return result if per_token else result.sum(axis=1)

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
        checked, threads = checked_tokens(tokens, self.vocab_size), checked_threads(num_threads)
        check_workspace(self.graph, threads)
        draws = checked_integer(num_draws, "num_draws", low=2)
        return estimate_nll(self._redrawn_plans(seed), draws, checked, threads)

    def next_token(self, tokens: ArrayLike) -> NDArray[np.float64]:
        """The exact law of each token given all before it: the Bayes-optimal prediction.

        Args:
            tokens: ``[N, T]`` integers, column 0 the begin token 0.

        Returns:
            ``[N, T - 1, V]``; ``-log`` of the tokens' own entries is :meth:`nll` per token.

        Raises:
            LrrayError: as :meth:`nll`; the result does not fit in memory.
        """
        return next_token_laws(*self._filtering(tokens))

    def posterior(self, tokens: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """The exact law of each latent at each step given the tokens up to that step's own.

        Args:
            tokens: as of :meth:`next_token`.

        Returns:
            Name of the latent -> ``[N, T, states]``; at step 0 every latent is in state 0.

        Raises:
            LrrayError: as :meth:`next_token`.
        """
        laws = marginal_posteriors(*self._filtering(tokens))
        return {node.name: law for node, law in zip(self.graph.latents, laws, strict=True)}

    def joint_posterior(self, tokens: ArrayLike) -> NDArray[np.float64]:
        """The same of all latents jointly, ``[N, T, states of the first latent, …]``.

        Latents stand in the order of ``graph.latents``.
        """
        law = joint_posterior(*self._filtering(tokens))
        return law.reshape(*law.shape[:2], *(node.state_dim for node in self.graph.latents))

    def _filtering(self, tokens: ArrayLike) -> tuple[ForwardPlan, NDArray[Any]]:
        self._require_fixed_kernels("nll_monte_carlo")
        check_workspace(self.graph, num_threads=1)
        return self.forward_plan("float64"), checked_tokens(tokens, self.vocab_size)

    @overload
    def ngram_entropy(self, order: int, num_positions: None = None) -> float: ...
    @overload
    def ngram_entropy(self, order: int, num_positions: int) -> NDArray[np.float64]: ...
    def ngram_entropy(
        self, order: int, num_positions: int | None = None
    ) -> float | NDArray[np.float64]:
        """Exact H(token | the ``order`` tokens before it) in bits: a trigram's loss at order 2.

        Args:
            order: 0 to 4.
            num_positions: whether to start at the begin token and return the entropies at
                positions 1, 2, …, ``num_positions``; default: one entropy, in the long run.

        Returns:
            Bits per token in the long run, or ``[num_positions]``.

        Raises:
            LrrayError: contexts times joint states are too many; a ``context`` graph
                (:meth:`ngram_entropy_monte_carlo` estimates it).
        """
        self._require_fixed_kernels("ngram_entropy_monte_carlo")
        order, plan = self._checked_order(order), self.forward_plan("float64")
        if num_positions is not None:
            num_positions = checked_integer(num_positions, "num_positions", low=1)
            return entropy_by_position(plan, order, num_positions)
        return conditional_entropy_bits(ngram_blocks(plan, long_run(plan), order))

    def ngram_entropy_monte_carlo(
        self, order: int, num_draws: int = 256, seed: int = 0
    ) -> MonteCarloEntropy:
        """Estimates :meth:`ngram_entropy` of a ``context`` graph in the long run.

        The predictor sees ``order`` tokens and knows the law of kernels, but no sequence's own.

        Raises:
            LrrayError: as :meth:`ngram_entropy`; ``num_draws`` below 3.
        """
        draws = checked_integer(num_draws, "num_draws", low=3)
        order = self._checked_order(order)
        check_surrogate(self.graph, order)
        return estimate_ngram_entropy(self._redrawn_plans(seed), draws, order)

    def markov_surrogate(self, order: int) -> MarkovSurrogate:
        """The Markov source of that order with exactly this graph's law of n-grams.

        Raises:
            LrrayError: as :meth:`ngram_entropy`; the table of contexts would be too large.
        """
        self._require_fixed_kernels()
        order = self._checked_order(order)
        check_surrogate(self.graph, order)
        plan = self.forward_plan("float64")
        blocks = list(ngram_blocks(plan, long_run(plan), order))
        return MarkovSurrogate(self.graph, self.seed, np.concatenate(blocks))

    def _checked_order(self, order: Any) -> int:
        order = checked_integer(order, "order", high=MAX_ORDER + 1)
        check_order(self.graph, order)
        check_workspace(self.graph, num_threads=1)
        return order
