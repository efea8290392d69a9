"""Markov surrogates: their law, their stream and their likelihood."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from lrray.errors import LrrayError
from lrray.gssm import GSSM, MarkovSurrogate
from tests.gssm.graphs import KINDS, build, independent_latents, node, token
from tests.gssm.oracles import chi_square_p_value, law_of_ngrams
from tests.gssm.reference_stream import alias, drawn_state, draws

DENSE_KINDS = [k for k in KINDS if build(k).graph.num_joint_states * build(k).vocab_size <= 64]


def by_hand(order: int) -> MarkovSurrogate:
    """Two tokens; the next one is the one before in 9 of 10 cases after 0, in 6 of 10 after 1."""
    nodes = [node("Z1", 2), token(2, "Z1")]
    law = np.array([[0.8 * 0.9, 0.8 * 0.1], [0.2 * 0.4, 0.2 * 0.6]])
    graph = GSSM.from_config({"nodes": nodes}, seed=0).graph
    return MarkovSurrogate(graph, 0, law if order else law.sum(axis=0, keepdims=True))


def test_nll_is_read_off_a_table_written_by_hand() -> None:
    # The first token has no past: (0.8, 0.2). Then 0 -> 0, 0 -> 1, 1 -> 1 by the rows.
    expected = [[-math.log(p) for p in (0.8, 0.9, 0.1, 0.6)]]
    surrogate = by_hand(order=1)
    np.testing.assert_allclose(surrogate.nll([[0, 0, 0, 1, 1]], per_token=True), expected)
    np.testing.assert_allclose(surrogate.nll([[0, 0, 0, 1, 1]]), np.sum(expected))
    laws = surrogate.next_token([[0, 1, 0]])
    np.testing.assert_allclose(laws, [[[0.8, 0.2], [0.4, 0.6]]])
    flat = by_hand(order=0)
    np.testing.assert_allclose(
        flat.nll([[0, 1, 0]], per_token=True), [[-math.log(0.2), -math.log(0.8)]]
    )


@pytest.mark.parametrize("kind", DENSE_KINDS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_any_tokens_in_a_row_follow_the_law_of_the_graph(kind: str, order: int) -> None:
    gssm = build(kind)
    surrogate = gssm.markov_surrogate(order)
    assert surrogate.order == order
    expected = law_of_ngrams(gssm, order + 1)
    vocab = gssm.vocab_size
    law = np.array(1.0)
    for table in surrogate.tables:  # the first tokens of a sequence
        law = law[..., None] * table.reshape(*law.shape, vocab)
    np.testing.assert_allclose(law, expected, atol=1e-10)
    if order:
        for _ in range(5):  # later ones: drop the oldest, append one
            law = law.sum(axis=0)[..., None] * surrogate.tables[-1].reshape((vocab,) * (order + 1))
            np.testing.assert_allclose(law, expected, atol=1e-10)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("first", [1, 40])
def test_samples_have_the_ngram_counts_of_the_graph(order: int, first: int) -> None:
    gssm = build("diamond")
    law = law_of_ngrams(gssm, order + 1)
    tokens = gssm.markov_surrogate(order).sample(50_000, first + order + 1, stream_seed=5)
    assert chi_square_p_value(tokens[:, first:], dict(np.ndenumerate(law))) > 1e-3


@pytest.mark.parametrize("kind", ["feedback", "diamond", "four states"])
def test_mean_nll_of_its_own_sequences_is_the_ngram_entropy(kind: str) -> None:
    gssm = build(kind)
    for order in (0, 1, 2):
        surrogate = gssm.markov_surrogate(order)
        bits = surrogate.nll(surrogate.sample(400, 300), per_token=True)[:, order:] / math.log(2)
        error = bits.mean(axis=1).std(ddof=1) / 20
        assert abs(bits.mean() - gssm.ngram_entropy(order)) < 4 * error


def test_the_mean_loss_on_the_graphs_own_tokens_is_the_ngram_entropy_too() -> None:
    gssm = independent_latents(2, 4, tokens=8)
    bits = gssm.markov_surrogate(2).nll(gssm.sample(400, 400), per_token=True)[:, 60:] / math.log(2)
    error = bits.mean(axis=1).std(ddof=1) / 20
    assert abs(bits.mean() - gssm.ngram_entropy(2)) < 4 * error


def test_of_a_graph_that_shows_its_latent_it_is_the_same_source() -> None:
    nodes = [node("Z1", 3), token(3, "Z1")]
    gssm = GSSM.from_config({"nodes": nodes}, seed=1)
    gssm.kernels["X"] = [np.eye(3)]
    tokens = gssm.sample(50, 40)
    for order in (1, 2):
        surrogate = gssm.markov_surrogate(order).nll(tokens, per_token=True)
        later = gssm.nll(tokens, per_token=True)[:, order:]
        np.testing.assert_allclose(surrogate[:, order:], later, rtol=1e-9)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
class TestStream:
    def test_tokens_equal_the_documented_stream_in_plain_python(self, order: int) -> None:
        surrogate = build("feedback").markov_surrogate(order)
        columns = [[alias(row) for row in table.tolist()] for table in surrogate.tables]
        for stream_seed, start in [(0, 0), (2**40 + 7, 2**33 + 5)]:
            for i, row in enumerate(surrogate.sample(3, 30, stream_seed, start).tolist()):
                expected, draw = [0], draws(stream_seed, start + i)
                for _ in range(29):
                    context = expected[1:][-order:] if order else []
                    number = 0
                    for each in context:
                        number = number * surrogate.vocab_size + each
                    expected.append(drawn_state(columns[len(context)][number], next(draw)))
                assert row == expected

    def test_pieces_threads_and_workers_make_up_the_same_whole(self, order: int) -> None:
        surrogate = build("diamond").markov_surrogate(order)
        whole = surrogate.sample(210, 20, stream_seed=3, num_threads=1)
        np.testing.assert_array_equal(surrogate.sample(210, 20, 3, num_threads=3), whole)
        pieces = [surrogate.sample(70, 20, 3, start) for start in (0, 70, 140)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        for rank in range(3):
            own = surrogate.sample(70, 20, 3, rank, every=3)
            np.testing.assert_array_equal(own, whole[rank::3])
        np.testing.assert_array_equal(surrogate.sample(210, 9, 3), whole[:, :9])
        assert not whole[:, 0].any()


@pytest.mark.parametrize("kind", ["feedback", "diamond"])
def test_log_loss_of_next_token_is_the_nll(kind: str) -> None:
    surrogate = build(kind).markov_surrogate(2)
    tokens = surrogate.sample(20, 30)
    laws = surrogate.next_token(tokens)
    np.testing.assert_allclose(laws.sum(axis=2), 1)
    own = np.take_along_axis(laws, tokens[:, 1:, None].astype(int), axis=2)[..., 0]
    np.testing.assert_allclose(-np.log(own), surrogate.nll(tokens, per_token=True), rtol=1e-12)


def test_a_surrogate_of_lower_order_is_that_of_the_graph() -> None:
    gssm = build("diamond")
    third = gssm.markov_surrogate(3)
    for order in range(3):
        tables = gssm.markov_surrogate(order).tables
        for lower, own in zip(third.markov_surrogate(order).tables, tables, strict=True):
            np.testing.assert_allclose(lower, own, atol=1e-9)
    assert third.markov_surrogate(3) is third
    assert third.markov_surrogate(4) is third


def test_a_sequence_that_cannot_occur_is_infinitely_unlikely() -> None:
    nodes = [node("Z1", 2), token(3, "Z1")]
    graph = GSSM.from_config({"nodes": nodes}, seed=0).graph
    surrogate = MarkovSurrogate(graph, 0, np.array([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0]]))
    assert surrogate.nll([[0, 1, 1]])[0] == pytest.approx(math.log(2))
    assert surrogate.nll([[0, 0, 1], [0, 2, 1]]).tolist() == [math.inf, math.inf]
    rows = surrogate.sample(200, 20)[:, 1:]
    assert all(a == b for row in rows.tolist() for a, b in pairwise(row))
    assert set(rows.ravel().tolist()) == {0, 1}


def test_sources_of_one_graph_are_told_apart() -> None:
    gssm = build("feedback")
    sources = [gssm, *(gssm.markov_surrogate(order) for order in range(3))]
    assert all(source.vocab_size == 4 and source.token_dtype is np.uint8 for source in sources)
    identities = [source.identity() for source in sources]
    assert all(one != other for i, one in enumerate(identities) for other in identities[:i])


def test_a_table_beyond_memory_is_refused_with_its_size() -> None:
    gssm = GSSM.from_config({"nodes": [node("Z1", 2), token(200, "Z1")]}, seed=0)
    with pytest.raises(LrrayError, match=r"at most 134217728 entries, but got '200\*\*4 = 16"):
        gssm.markov_surrogate(3)


def test_bad_tokens_and_bad_addresses_are_refused() -> None:
    surrogate = by_hand(order=1)
    with pytest.raises(LrrayError, match="must lie in 0 … 1"):
        surrogate.nll([[0, 2]])
    with pytest.raises(LrrayError, match="every: must be an integer"):
        surrogate.sample(1, 5, every=0)
