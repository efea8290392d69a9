"""Monte Carlo over the kernels of a graph with ``context`` nodes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrray.gssm.likelihood import ForwardPlan, token_nll
from lrray.gssm.ngrams import conditional_entropy_bits, long_run, ngram_blocks

Plans = Callable[[int], ForwardPlan]
"""The forward plan of one kernel draw, by the draw's number."""


@dataclass(frozen=True)
class MonteCarloNLL:
    """A Monte Carlo estimate of sequences' negative log-likelihood, each field ``[sequences]``."""

    nll: NDArray[np.float64]
    """Nats, summed over the predicted tokens."""
    standard_error: NDArray[np.float64]
    """Nats; by the delta method from the spread of the draws' likelihoods."""
    effective_draws: NDArray[np.float64]
    """(sum w)**2 / sum w**2 over the draws' likelihoods w; near 1, one draw decides everything."""


@dataclass(frozen=True)
class MonteCarloEntropy:
    """A Monte Carlo estimate of an n-gram entropy."""

    bits: float
    """Bits per token, the first-order bias of a finite number of draws removed."""
    standard_error: float
    """Bits per token; by the jackknife over draws."""


def estimate_nll(
    plans: Plans, num_draws: int, tokens: NDArray[np.unsignedinteger], num_threads: int
) -> MonteCarloNLL:
    """Averages the likelihood of each sequence over kernel draws."""
    log_likelihood = np.empty((num_draws, len(tokens)))
    for draw in range(num_draws):
        log_likelihood[draw] = -token_nll(plans(draw), tokens, num_threads).sum(axis=1)
    peak = log_likelihood.max(axis=0)
    weight = np.exp(log_likelihood - peak)
    mean = weight.mean(axis=0)
    return MonteCarloNLL(
        nll=-(peak + np.log(mean)),
        standard_error=weight.std(axis=0, ddof=1) / np.sqrt(num_draws) / mean,
        effective_draws=weight.sum(axis=0) ** 2 / (weight**2).sum(axis=0),
    )


def estimate_ngram_entropy(plans: Plans, num_draws: int, order: int) -> MonteCarloEntropy:
    """Entropy of the n-gram law averaged over kernel draws, which a predictor does not know.

    The average over D draws is less mixed than that over all, so its entropy is too low by about
    c / D; the jackknife (Quenouille 1956) subtracts this from the entropies of D - 1 draws each,
    whose spread also gives the standard error (Tukey 1958). Laws are computed twice, not kept.
    """

    def laws() -> Iterator[NDArray[np.float64]]:
        for draw in range(num_draws):
            plan = plans(draw)
            yield np.concatenate(list(ngram_blocks(plan, long_run(plan), order)))

    total = functools.reduce(np.add, laws())
    whole = conditional_entropy_bits([total / num_draws])
    without = np.array(
        [conditional_entropy_bits([(total - law).clip(0) / (num_draws - 1)]) for law in laws()]
    )
    spread = (num_draws - 1) * without.var()
    return MonteCarloEntropy(
        bits=float(num_draws * whole - (num_draws - 1) * without.mean()),
        standard_error=float(np.sqrt(spread)),
    )
