"""The Monte Carlo likelihood of graphs whose kernels change with every sequence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lrray.errors import LrrayError
from lrray.gssm import GSSM
from tests.gssm.graphs import CONTEXT_KINDS, build, node, token
from tests.gssm.oracles import law_of_tokens_in_context

STEPS = 3


def sequences_and_law(gssm: GSSM) -> tuple[np.ndarray, np.ndarray]:
    """Every token sequence of ``STEPS`` steps and its probability, kernels integrated out."""
    law = law_of_tokens_in_context(gssm, STEPS)
    tokens = np.array(list(itertools.product(range(gssm.vocab_size), repeat=STEPS)))
    exact = np.array([law[tuple(row)] for row in tokens.tolist()])
    return np.pad(tokens, ((0, 0), (1, 0))), exact


@pytest.mark.parametrize("kind", CONTEXT_KINDS)
def test_estimates_agree_with_the_exact_integral_over_kernels(kind: str) -> None:
    gssm = build(kind)
    tokens, exact = sequences_and_law(gssm)
    estimate = gssm.nll_monte_carlo(tokens, num_draws=2000)
    z = (estimate.nll + np.log(exact)) / estimate.standard_error
    assert estimate.standard_error.max() < 0.1
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("kind", CONTEXT_KINDS)
def test_the_likelihood_is_unbiased_and_its_standard_error_calibrated(kind: str) -> None:
    gssm = build(kind)
    tokens, exact = sequences_and_law(gssm)
    runs = [gssm.nll_monte_carlo(tokens, num_draws=40, seed=seed) for seed in range(64)]
    likelihood = np.exp(-np.array([run.nll for run in runs]))
    spread = likelihood.std(axis=0, ddof=1)
    z = (likelihood.mean(axis=0) - exact) / (spread / 8)
    assert np.abs(z).max() < 4.5
    claimed = np.mean([run.standard_error for run in runs], axis=0)
    np.testing.assert_allclose(claimed * exact / spread, 1, atol=0.5)
    assert np.mean(claimed * exact / spread) == pytest.approx(1, abs=0.1)


def test_each_draw_estimates_a_distribution_over_sequences() -> None:
    gssm = build("context, all")
    tokens, _ = sequences_and_law(gssm)
    estimate = gssm.nll_monte_carlo(tokens, num_draws=2)
    assert np.exp(-estimate.nll).sum() == pytest.approx(1)


def test_effective_draws_fall_as_sequences_grow_and_warn_of_a_bad_estimate() -> None:
    gssm = build("context, all")
    tokens = gssm.sample(5, 400)
    effective = [
        gssm.nll_monte_carlo(tokens[:, :length], num_draws=200).effective_draws.mean()
        for length in (2, 20, 400)
    ]
    assert 200 >= effective[0] > effective[1] > effective[2] >= 1
    assert effective[2] < 10


def test_the_same_seed_gives_the_same_estimate_whatever_the_threads() -> None:
    gssm = build("context token")
    tokens = gssm.sample(40, 6)
    one = gssm.nll_monte_carlo(tokens, num_draws=5, seed=1, num_threads=1)
    two = gssm.nll_monte_carlo(tokens, num_draws=5, seed=1, num_threads=2)
    np.testing.assert_array_equal(one.nll, two.nll)
    other = gssm.nll_monte_carlo(tokens, num_draws=5, seed=2)
    assert (other.nll != one.nll).all()


def test_a_graph_without_context_nodes_is_estimated_without_error() -> None:
    gssm = build("diamond")
    tokens = gssm.sample(3, 20)
    estimate = gssm.nll_monte_carlo(tokens, num_draws=3)
    np.testing.assert_allclose(estimate.nll, gssm.nll(tokens), rtol=1e-12)
    np.testing.assert_allclose(estimate.standard_error, 0, atol=1e-12)
    np.testing.assert_allclose(estimate.effective_draws, 3)


def test_tables_of_too_many_sequences_at_once_are_refused() -> None:
    names = [f"Z{i}" for i in range(1, 8)]
    nodes = [*(node(name, 4) for name in names),
             token(64, *names, mode="context", kernel_type="fullrank")]  # fmt: skip
    gssm = GSSM.from_config({"nodes": nodes}, seed=0)
    message = "node X: the tables of a context graph's sequences must fit in 3.5 GB, but got '"
    for num_threads, gigabytes in [(3, "3.2"), (4, "4.3")]:
        held = 2 * 64 * num_threads * 4**7 * 64 * 8 / 1e9
        assert f"{held:.1f}" == gigabytes
    with pytest.raises(LrrayError, match=f"{message}4.3 GB for 4 threads'") as caught:
        gssm.sample(256, 2, num_threads=4)
    assert "\n" not in str(caught.value)
    assert gssm.sample(2, 2, num_threads=4).shape == (2, 2)


def test_tables_are_kept_once_where_all_sequences_share_them() -> None:
    gssm = build("diamond")
    gssm.sample(2, 3)
    kept = [name for name, value in vars(gssm).items() if isinstance(value, dict) and value]
    assert sorted(kept) == ["kernels", "tables"]


def test_every_sequence_of_a_context_graph_has_kernels_of_its_own() -> None:
    nodes = [
        {"name": "Z1", "state_dim": 2, "alpha": 1},
        {"name": "X", "state_dim": 50, "alpha": 1e-3, "parents": ["Z1"], "mode": "context",
         "observed": True},
    ]  # fmt: skip
    tokens = GSSM.from_config({"nodes": nodes}, seed=0).sample(100, 50)
    favourite = [np.bincount(row[1:]).argmax() for row in tokens]
    assert len(set(favourite)) > 30
    assert max(len(np.unique(row[1:])) for row in tokens) <= 6
