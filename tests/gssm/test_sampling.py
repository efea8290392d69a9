"""The sampler: its generator, its law, and a stream that depends on (graph, seed, index) alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from benchmarks.baselines import sample_loop
from lrray.gssm import GSSM
from lrray.gssm.draws import LANES, alias_table, philox
from lrray.gssm.kernels import conditional_table, draw_node
from tests.gssm.graphs import CONTEXT_KINDS, KINDS, build, independent_latents, node, token
from tests.gssm.oracles import chi_square_p_value, law_of_tokens, law_of_tokens_in_context
from tests.gssm.reference_stream import philox4x32, sequence, states

EVERY_KIND = [*KINDS, *CONTEXT_KINDS]

# philox4x32-10 of the known-answer tests that Random123 is published with.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(counter: str, key: str, answer: str) -> None:
    c0, c1, c2, c3 = words(counter)
    k0, k1 = words(key)
    out = np.zeros((4, LANES), np.uint32)
    index_low, index_high = np.full(LANES, c2, np.uint32), np.full(LANES, c3, np.uint32)
    philox(out, np.uint32(k0), np.uint32(k1), np.uint64(c0 + (c1 << 32)), index_low, index_high)
    assert (np.array(words(answer), np.uint32) == out.T).all()
    assert philox4x32((c0, c1, c2, c3), (k0, k1)) == words(answer)


@pytest.mark.parametrize("states", [2, 3, 7, 64, 1000])
def test_an_alias_table_holds_its_row_to_32_bits(states: int) -> None:
    rows = np.random.default_rng(0).dirichlet(np.full(states, 0.1), size=5)
    for row, entries in zip(rows, alias_table(rows), strict=True):
        held = np.zeros(states)
        for column, entry in enumerate(entries.tolist()):
            threshold, other = entry >> 16, entry & 0xFFFF
            held[column] += threshold / 2**32 / states
            held[other] += (1 - threshold / 2**32) / states
        np.testing.assert_allclose(held, row, atol=2**-32)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_equal_the_documented_stream_in_plain_python(kind: str) -> None:
    gssm = build(kind)
    for stream_seed, start in [(0, 0), (2**40 + 7, 2**33 + 5)]:
        tokens = gssm.sample(3, 30, stream_seed, start)
        for i, row in enumerate(tokens.tolist()):
            assert row == sequence(gssm, gssm.tables, stream_seed, start + i, 30)


@pytest.mark.parametrize("kind", KINDS)
def test_latents_are_those_that_the_documented_stream_passes_through(kind: str) -> None:
    gssm = build(kind)
    tokens, latents = gssm.sample(3, 30, 5, 7, return_latents=True)
    assert list(latents) == [each.name for each in gssm.graph.latents]
    for i, row in enumerate(tokens.tolist()):
        path = states(gssm, gssm.tables, 5, 7 + i, 30)
        assert row == [state["X"] for state in path]
        for name, own in latents.items():
            assert own[i].tolist() == [state[name] for state in path]


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("threads", [1, 3])
def test_asking_for_latents_does_not_change_the_tokens(kind: str, threads: int) -> None:
    gssm = build(kind)
    arguments = {"stream_seed": 3, "start": 5, "num_threads": threads, "every": 2}
    tokens, latents = gssm.sample(150, 20, **arguments, return_latents=True)
    np.testing.assert_array_equal(tokens, gssm.sample(150, 20, **arguments))
    assert all(own.shape == tokens.shape and not own[:, 0].any() for own in latents.values())
    assert all(own.any() for own in latents.values())


def test_latents_of_more_states_than_tokens_keep_their_type_and_the_tokens_theirs() -> None:
    nodes = [node("Z1", 300, alpha=9), token(3, "Z1")]
    gssm = GSSM.from_config({"nodes": nodes}, seed=0)
    tokens, latents = gssm.sample(20, 40, return_latents=True)
    assert latents["Z1"].max() > 255
    assert tokens.dtype == np.uint8
    np.testing.assert_array_equal(tokens, gssm.sample(20, 40))


@pytest.mark.parametrize("kind", CONTEXT_KINDS)
def test_context_tokens_equal_the_documented_stream_in_plain_python(kind: str) -> None:
    gssm, stream_seed, start = build(kind), 2**35 + 1, 11
    for i, row in enumerate(gssm.sample(20, 30, stream_seed, start).tolist()):
        address = np.array([1, gssm.seed, stream_seed, start + i], "<u8").view("<u4")
        rng = np.random.default_rng(np.random.SeedSequence(address.tolist()))
        own = {
            each.name: conditional_table(gssm.graph, each, draw_node(gssm.graph, each, rng))
            for each in gssm.graph.nodes
            if each.mode == "context"
        }
        assert row == sequence(gssm, gssm.tables | own, stream_seed, start + i, 30)


def test_the_stream_never_changes_silently() -> None:
    """A new checksum here means that stored results no longer belong to their seeds."""
    gssm = GSSM.from_config({"nodes": [node("Z1", 4, "X"), token(8, "Z1")]}, seed=0)
    own_past = np.array([[1, 2, 3, 4], [4, 1, 2, 3], [3, 4, 1, 2], [2, 3, 4, 1]]) / 10
    gssm.kernels["Z1"] = [own_past, np.tile(own_past, (2, 1))]
    gssm.kernels["X"] = [np.arange(32.0).reshape(4, 8) % 5 + 1]
    tokens = gssm.sample(50, 200, stream_seed=7, start=3)
    assert hashlib.sha256(tokens.tobytes()).hexdigest()[:16] == "6fb46187e204dbcd"
    context = build("context, all").sample(50, 200, stream_seed=7, start=3)
    assert hashlib.sha256(context.tobytes()).hexdigest()[:16] == "d6298ccaee78fcf6"


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_enumerated_law_of_their_first_tokens(kind: str) -> None:
    gssm = build(kind)
    steps = 3 if gssm.graph.num_joint_states <= 12 else 2
    law = law_of_tokens(gssm, steps)
    assert sum(law.values()) == pytest.approx(1)
    tokens = gssm.sample(50_000, steps + 1, stream_seed=5)[:, 1:]
    assert chi_square_p_value(tokens, law) > 1e-3


@pytest.mark.parametrize("kind", CONTEXT_KINDS)
def test_context_samples_follow_the_law_with_kernels_integrated_out(kind: str) -> None:
    gssm = build(kind)
    law = law_of_tokens_in_context(gssm, 3)
    assert sum(law.values()) == pytest.approx(1)
    assert chi_square_p_value(gssm.sample(20_000, 4, stream_seed=5)[:, 1:], law) > 1e-3


@pytest.mark.parametrize("kind", ["diamond", "declared out of order", "sixty-four states"])
def test_samples_have_the_pair_counts_of_a_plain_sampler_far_into_the_sequence(kind: str) -> None:
    gssm = build(kind)
    ours = gssm.sample(20_000, 40)[:, -2:].astype(int)
    plain = sample_loop(gssm, 20_000, 40, np.random.default_rng(0))[:, -2:]
    a, b = (
        np.bincount(x[:, 0] * gssm.vocab_size + x[:, 1], minlength=gssm.vocab_size**2)
        for x in (ours, plain)
    )
    seen = a + b >= 20
    statistic = ((a - b)[seen] ** 2 / (a + b)[seen]).sum()
    assert chi2.sf(statistic, seen.sum() - 1) > 1e-3


@pytest.mark.parametrize("kind", ["feedback", "context, all"])
class TestStream:
    def test_pieces_of_any_size_join_to_the_whole(self, kind: str) -> None:
        gssm = build(kind)
        whole = gssm.sample(100, 20, stream_seed=3)
        for size in (1, 7, 16, 33):
            pieces = [
                gssm.sample(min(size, 100 - start), 20, stream_seed=3, start=start)
                for start in range(0, 100, size)
            ]
            np.testing.assert_array_equal(np.concatenate(pieces), whole)

    def test_workers_that_take_every_third_index_make_up_the_whole(self, kind: str) -> None:
        gssm = build(kind)
        whole = gssm.sample(30, 20)
        for rank in range(3):
            own = [gssm.sample(1, 20, start=i)[0] for i in range(rank, 30, 3)]
            np.testing.assert_array_equal(own, whole[rank::3])
            np.testing.assert_array_equal(gssm.sample(10, 20, start=rank, every=3), own)

    @pytest.mark.parametrize("threads", [1, 3])
    def test_every_nth_sequence_is_the_same_in_groups_of_any_size(
        self, kind: str, threads: int
    ) -> None:
        gssm, every = build(kind), 7
        whole = gssm.sample(200 * every, 6, 4, 2**32 - 100)
        some = gssm.sample(200, 6, 4, 2**32 - 100, threads, every=every)
        np.testing.assert_array_equal(some, whole[::every])

    @pytest.mark.parametrize("kind_of_integer", [np.uint8, np.int32, np.int64])
    def test_numpys_integers_count_as_pythons(self, kind: str, kind_of_integer: Any) -> None:
        gssm, start = build(kind), int(np.iinfo(kind_of_integer).max) - 3
        expected = gssm.sample(80, 6, start=start, num_threads=1)
        found = gssm.sample(80, 6, start=kind_of_integer(start), num_threads=2)
        np.testing.assert_array_equal(found, expected)

    def test_a_resumed_run_continues_where_it_stopped(self, kind: str) -> None:
        whole = build(kind).sample(50, 20, stream_seed=9)
        resumed = build(kind).sample(20, 20, stream_seed=9, start=30)
        np.testing.assert_array_equal(resumed, whole[30:])

    def test_a_shorter_sequence_begins_a_longer_one(self, kind: str) -> None:
        gssm = build(kind)
        np.testing.assert_array_equal(gssm.sample(20, 11), gssm.sample(20, 50)[:, :11])

    def test_threads_do_not_change_it(self, kind: str) -> None:
        gssm = build(kind)
        one = gssm.sample(100, 20, num_threads=1)
        for threads in (2, 3, 16):
            np.testing.assert_array_equal(gssm.sample(100, 20, num_threads=threads), one)

    def test_streams_and_indices_give_different_sequences(self, kind: str) -> None:
        gssm = build(kind)
        rows = np.concatenate([gssm.sample(20, 60, stream_seed=seed) for seed in (0, 1, 2**32)])
        assert len(np.unique(rows, axis=0)) == 60

    def test_the_largest_seed_and_index_are_usable(self, kind: str) -> None:
        tokens = build(kind).sample(2, 20, stream_seed=2**64 - 1, start=2**63 - 3)
        assert tokens.any()


def test_every_sequence_begins_with_token_zero() -> None:
    assert not independent_latents(4, 4, tokens=32).sample(40, 3)[:, 0].any()


@pytest.mark.parametrize(("vocabulary", "dtype"), [(2, "u1"), (256, "u1"), (257, "u2")])
def test_tokens_take_the_smallest_type_that_holds_them(vocabulary: int, dtype: str) -> None:
    nodes = [node("Z1", 2, alpha=9), token(vocabulary, "Z1", alpha=9)]
    tokens = GSSM.from_config({"nodes": nodes}, seed=0).sample(200, 40)
    assert tokens.dtype == dtype
    assert tokens.max() == vocabulary - 1


def test_no_sequences_and_single_tokens_are_allowed() -> None:
    gssm = build("feedback")
    assert gssm.sample(0, 5).shape == (0, 5)
    np.testing.assert_array_equal(gssm.sample(2, 1), [[0], [0]])
