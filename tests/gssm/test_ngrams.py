"""N-gram entropies against enumeration, dense algebra, closed forms and counts."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.gssm import GSSM, GraphConfig, ngrams
from tests.gssm.graphs import KINDS, build, independent_latents, node, token
from tests.gssm.oracles import conditional_entropy_bits, law_of_ngrams, law_of_tokens

STUDIES = Path(__file__).parents[2] / "studies"

DENSE_KINDS = [k for k in KINDS if build(k).graph.num_joint_states * build(k).vocab_size <= 64]


@pytest.mark.parametrize("kind", DENSE_KINDS)
def test_entropy_in_the_long_run_equals_dense_algebra(kind: str) -> None:
    gssm = build(kind)
    for order in range(4):
        expected = conditional_entropy_bits(law_of_ngrams(gssm, order + 1))
        assert gssm.ngram_entropy(order) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", DENSE_KINDS)
def test_entropies_from_the_start_equal_those_of_the_enumerated_law(kind: str) -> None:
    gssm, num_positions = build(kind), 4 if build(kind).graph.num_joint_states < 12 else 3
    law = np.zeros((gssm.vocab_size,) * num_positions)
    for tokens, p in law_of_tokens(gssm, num_positions).items():
        law[tokens] = p
    for order in range(4):
        expected = []
        for position in range(num_positions):
            unseen = tuple(range(position + 1, num_positions))
            forgotten = tuple(range(max(0, position - order)))
            expected.append(conditional_entropy_bits(law.sum(axis=unseen).sum(axis=forgotten)))
        found = gssm.ngram_entropy(order, num_positions)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_entropies_from_the_start_reach_the_long_run(kind: str) -> None:
    gssm = build(kind)
    for order in (0, 2):
        late = gssm.ngram_entropy(order, num_positions=400)[-1]
        assert late == pytest.approx(gssm.ngram_entropy(order), abs=1e-6)


@pytest.mark.parametrize("kind", ["diamond", "sixteen states over two", "dead"])
def test_entropy_is_what_counts_of_a_long_sample_say(kind: str) -> None:
    gssm = build(kind)
    tokens = gssm.sample(400, 2_100)[:, 100:].astype(int)
    for order in range(4):
        windows = np.lib.stride_tricks.sliding_window_view(tokens, order + 1, axis=1)
        shape = (gssm.vocab_size,) * (order + 1)
        index = np.ravel_multi_index(tuple(np.moveaxis(windows, -1, 0)), shape)
        counts = np.bincount(index.ravel(), minlength=math.prod(shape))
        law = (counts / counts.sum()).reshape(-1, gssm.vocab_size)
        seen = law[law.sum(axis=1) > 0]
        last = seen / seen.sum(axis=1, keepdims=True)
        counted = -(seen * np.log2(np.where(seen > 0, last, 1))).sum()
        assert gssm.ngram_entropy(order) == pytest.approx(counted, abs=0.003)


@pytest.mark.parametrize("kind", KINDS)
def test_longer_contexts_never_know_less_and_no_context_beats_the_bound(kind: str) -> None:
    gssm = build(kind)
    entropies = [gssm.ngram_entropy(order) for order in range(5)]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(entropies))
    late = gssm.nll(gssm.sample(300, 300), per_token=True)[:, 50:] / math.log(2)
    error = late.mean(axis=1).std(ddof=1) / math.sqrt(len(late))
    assert entropies[-1] > late.mean() - 4 * error


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_blocks_of_contexts_make_no_difference(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gssm = independent_latents(2, 3, tokens=5)
    whole = gssm.ngram_entropy(order)
    monkeypatch.setattr(ngrams, "_BLOCK", 1)
    assert gssm.ngram_entropy(order) == pytest.approx(whole, rel=1e-13)


def shown_latent(*rows: list[float]) -> GSSM:
    """A graph whose token is its latent's state, which moves by the given matrix."""
    nodes = [node("Z1", len(rows)), token(len(rows), "Z1")]
    gssm = GSSM.from_config({"nodes": nodes}, seed=0)
    gssm.kernels["Z1"], gssm.kernels["X"] = [np.array(rows)], [np.eye(len(rows))]
    return gssm


def test_a_shown_markov_chain_has_its_textbook_entropy_rate_from_order_one_on() -> None:
    gssm = shown_latent([0.9, 0.1], [0.4, 0.6])

    def binary(p: float) -> float:
        return -p * math.log2(p) - (1 - p) * math.log2(1 - p)

    rate = 0.8 * binary(0.1) + 0.2 * binary(0.4)  # the long run is (0.8, 0.2)
    expected = [binary(0.2), rate, rate, rate, rate]
    found = [gssm.ngram_entropy(order) for order in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_cycle_is_averaged_over_its_phases() -> None:
    gssm = shown_latent([0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    assert gssm.ngram_entropy(0) == pytest.approx(math.log2(3))
    assert gssm.ngram_entropy(1) == pytest.approx(0)
    np.testing.assert_allclose(gssm.ngram_entropy(0, num_positions=6), 0, atol=1e-12)


def test_states_that_only_the_guard_against_underflow_reaches_do_not_count() -> None:
    frozen, uniform = [1.0, 1e-10, 1e-10], [1e-10, 0.5, 0.5]
    gssm = shown_latent(frozen, uniform, uniform)  # starts, and stays for 1e10 steps, in state 0
    assert gssm.ngram_entropy(0) < 1e-4


@pytest.mark.parametrize("kernel_type", ["product", "fullrank"])
def test_a_token_that_only_feedback_can_explain(kernel_type: str) -> None:
    """The latent repeats the token before, so the token tells the next: H1 = 0, and H0 its law."""
    nodes = [node("Z1", 2, "X", kernel_type=kernel_type), token(2, "Z1")]
    gssm = GSSM.from_config({"nodes": nodes}, seed=0)
    repeat = np.array([[1.0, 0.0], [0.0, 1.0]])
    own = np.ones((2, 2))
    gssm.kernels["Z1"] = [own, repeat] if kernel_type == "product" else [np.tile(repeat, (2, 1))]
    gssm.kernels["X"] = [np.array([[0.7, 0.3], [0.2, 0.8]])]
    stay = [0.7, 0.8]  # p(token repeats), so the chain of tokens is [[.7, .3], [.2, .8]]
    share = [0.4, 0.6]
    entropy = [-p * math.log2(p) - (1 - p) * math.log2(1 - p) for p in stay]
    expected = share[0] * entropy[0] + share[1] * entropy[1]
    assert gssm.ngram_entropy(1) == pytest.approx(expected)
    assert gssm.ngram_entropy(2) == pytest.approx(expected)
    assert gssm.ngram_entropy(0) == pytest.approx(-0.4 * math.log2(0.4) - 0.6 * math.log2(0.6))


@pytest.mark.parametrize(
    ("alpha", "vocabulary"), [(0.5, 3), (0.1, 8)], ids=["three tokens", "eight tokens"]
)
def test_estimate_for_context_tokens_meets_dirichlets_moments(
    alpha: float, vocabulary: int
) -> None:
    nodes = [node("Z1", 2), token(vocabulary, "Z1", alpha=alpha, mode="context")]
    gssm = GSSM.from_config({"nodes": nodes}, seed=3)
    move = gssm.tables["Z1"]
    share = move[1, 0] / (move[0, 1] + move[1, 0])
    stay = share * move[0, 0] + (1 - share) * move[1, 1]
    total = alpha * vocabulary
    same_row = alpha * (alpha + np.eye(vocabulary)) / (total * (total + 1))
    law = stay * same_row + (1 - stay) / vocabulary**2
    for order, expected in [(0, math.log2(vocabulary)), (1, conditional_entropy_bits(law))]:
        estimate = gssm.ngram_entropy_monte_carlo(order, num_draws=1500, seed=1)
        assert abs(estimate.bits - expected) < 4 * estimate.standard_error + 1e-4
        assert estimate.standard_error < 0.02


def test_estimate_of_a_graph_without_context_nodes_is_exact() -> None:
    gssm = build("diamond")
    estimate = gssm.ngram_entropy_monte_carlo(2, num_draws=3)
    assert estimate.bits == pytest.approx(gssm.ngram_entropy(2), rel=1e-12)
    assert estimate.standard_error == pytest.approx(0, abs=1e-12)


def test_estimates_of_few_and_of_many_draws_agree_within_their_errors() -> None:
    gssm = build("context, all")
    many = gssm.ngram_entropy_monte_carlo(2, num_draws=1000)
    few = [gssm.ngram_entropy_monte_carlo(2, num_draws=30, seed=seed) for seed in range(1, 21)]
    mean = np.mean([estimate.bits for estimate in few])
    spread = np.std([estimate.bits for estimate in few], ddof=1)
    assert abs(mean - many.bits) < 4 * math.hypot(spread / math.sqrt(20), many.standard_error)
    said = np.mean([estimate.standard_error for estimate in few])
    assert 0.5 < said / spread < 2


class TestRefused:
    @pytest.mark.parametrize("order", [-1, 5, 1.0, True])
    def test_orders_beyond_four(self, order: object) -> None:
        with pytest.raises(LrrayError, match="order: must be an integer with 0 <= order < 5"):
            build("feedback").ngram_entropy(order)

    def test_contexts_beyond_reach_with_their_number(self) -> None:
        gssm = independent_latents(6, 4, tokens=64)
        message = r"contexts x joint states must be at most .* got '64\*\*4 x 4096 = 68719476736"
        with pytest.raises(LrrayError, match=message):
            gssm.ngram_entropy(4)

    def test_graphs_of_too_many_joint_states(self) -> None:
        gssm = independent_latents(6, 6, tokens=2000)
        with pytest.raises(LrrayError, match=r"joint states x tokens must .* '46656 x 2000"):
            gssm.ngram_entropy(0)

    def test_context_graphs_with_the_method_that_serves_them(self) -> None:
        with pytest.raises(LrrayError, match="call ngram_entropy_monte_carlo"):
            build("context token").ngram_entropy(1)
        with pytest.raises(LrrayError, match="use a graph without context nodes"):
            build("context token").markov_surrogate(1)


TABLE = {
    ("entropy", "easy_to_infer"): (4.86, 3.95, 2.96, 2.65, 2.55, 0.39, 0.83),
    ("entropy", "easy_to_predict"): (4.97, 4.66, 3.81, 3.04, 2.59, 0.13, 0.49),
    ("gzip", "easy_to_infer"): (4.87, 3.96, 2.96, 2.68, 2.60, 0.40, 0.84),
    ("gzip", "easy_to_predict"): (4.95, 4.32, 2.85, 2.08, 1.89, 0.20, 0.69),
}
"""H0 … H3, exact bound, share of information in bigrams and in trigrams; means over seeds 0–5."""


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "end"), TABLE)
def test_entropies_of_the_four_latent_pairs_are_those_known_before(metric: str, end: str) -> None:
    pairs = yaml.safe_load((STUDIES / "pairs" / f"four_latents_{metric}.yaml").read_text("utf-8"))
    alphas = next(pair for pair in pairs["pairs"] if pair["name"] == end)
    graph = parse(GraphConfig, pairs["graph"], "graph")
    graph = graph.with_alphas(alphas["alpha_X"], alphas["alpha_Z"])
    rows = []
    for seed in range(6):
        gssm = GSSM(graph, seed)
        late = gssm.nll(gssm.sample(64, 1024, stream_seed=1), per_token=True)[:, 100:]
        rows.append([*(gssm.ngram_entropy(n) for n in range(4)), late.mean() / math.log(2)])
    h0, h1, h2, h3, bound = np.mean(rows, axis=0)
    *entropies, known_bound, bigram, trigram = TABLE[metric, end]
    np.testing.assert_allclose([h0, h1, h2, h3], entropies, atol=0.006)  # two digits are known
    assert bound == pytest.approx(known_bound, abs=0.02)  # of a sample, then and now
    assert (h0 - h1) / (h0 - bound) == pytest.approx(bigram, abs=0.01)
    assert (h0 - h2) / (h0 - bound) == pytest.approx(trigram, abs=0.01)
