"""The exact likelihood against sums over all latent paths, dense algebra and hand calculation."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.baselines import dense_nll
from lrray.gssm import GSSM
from lrray.gssm.drawn import Precision
from lrray.gssm.likelihood import FEW_SEQUENCES
from tests.gssm.graphs import KINDS, build, independent_latents, node, token
from tests.gssm.oracles import likelihood

MANY = FEW_SEQUENCES + 7
"""Sequences that one thread scores side by side, not one by one; the last lanes idle."""

STEPS_THAT_CAN_BE_ENUMERATED = {12: 2, 16: 2, 32: 2, 64: 2}


@pytest.mark.parametrize("kind", KINDS)
def test_nll_equals_the_sum_over_all_latent_paths(kind: str) -> None:
    gssm = build(kind)
    steps = STEPS_THAT_CAN_BE_ENUMERATED.get(gssm.graph.num_joint_states, 3)
    tokens = gssm.sample(3, steps + 1, stream_seed=1)
    expected = [-math.log(likelihood(gssm, row.tolist())) for row in tokens]
    np.testing.assert_allclose(gssm.nll(tokens), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_likelihoods_of_all_sequences_sum_to_one(kind: str) -> None:
    gssm = build(kind)
    every = np.array([(0, *x) for x in itertools.product(range(gssm.vocab_size), repeat=3)])
    assert np.exp(-gssm.nll(every)).sum() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_nll_equals_a_dense_forward_pass_on_long_sequences(kind: str) -> None:
    gssm = build(kind)
    tokens = gssm.sample(MANY, 60)
    expected = dense_nll(gssm, tokens)
    np.testing.assert_allclose(gssm.nll(tokens, num_threads=1), expected, rtol=1e-9)
    np.testing.assert_allclose(gssm.nll(tokens[:2], num_threads=1), expected[:2], rtol=1e-9)


@pytest.mark.parametrize(("latents", "states"), [(4, 4), (2, 16), (6, 2), (1, 64), (3, 5), (2, 9)])
def test_nll_equals_a_dense_forward_pass_on_graphs_of_the_published_shape(
    latents: int, states: int
) -> None:
    gssm = independent_latents(latents, states, tokens=32)
    tokens = gssm.sample(MANY, 20)
    nll = gssm.nll(tokens, num_threads=1)
    np.testing.assert_allclose(nll, dense_nll(gssm, tokens), rtol=1e-9)
    alone = [gssm.nll(tokens[i : i + 1], num_threads=1)[0] for i in range(MANY)]
    np.testing.assert_array_equal(nll, alone)


def test_nll_of_a_hand_computed_example() -> None:
    gssm = GSSM.from_config({"nodes": [node("Z1", 2), token(2, "Z1")]}, seed=0)
    gssm.kernels["Z1"] = [np.array([[0.9, 0.1], [0.4, 0.6]])]
    gssm.kernels["X"] = [np.array([[0.8, 0.2], [0.3, 0.7]])]
    # Step 1 from Z=0, token 1: 0.9*0.2 + 0.1*0.7 = 0.25; Z is then (0.18, 0.07) / 0.25.
    # Step 2: Z moves to (0.72*0.9 + 0.28*0.4, …) = (0.76, 0.24); token 0: 0.76*0.8 + 0.24*0.3.
    per_token = gssm.nll([[0, 1, 0]], per_token=True)
    np.testing.assert_allclose(per_token, [[-math.log(0.25), -math.log(0.68)]], rtol=1e-12)


def test_nll_of_independent_tokens_is_their_entropy() -> None:
    gssm = GSSM.from_config({"nodes": [node("Z1", 2), token(4, "Z1")]}, seed=0)
    gssm.kernels["X"] = [np.full((2, 4), 0.25)]
    np.testing.assert_allclose(gssm.nll([[0, 3, 1, 2]]), [3 * math.log(4)], rtol=1e-12)


def test_per_token_nll_sums_to_the_sequence_nll() -> None:
    gssm = build("diamond")
    tokens = gssm.sample(5, 40)
    per_token = gssm.nll(tokens, per_token=True)
    assert per_token.shape == (5, 39)
    np.testing.assert_allclose(per_token.sum(axis=1), gssm.nll(tokens), rtol=1e-14)


def test_per_token_nll_depends_on_the_past_only() -> None:
    gssm = build("feedback")
    tokens = gssm.sample(4, 30)
    whole = gssm.nll(tokens, per_token=True)
    np.testing.assert_array_equal(gssm.nll(tokens[:, :11], per_token=True), whole[:, :10])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_sequences", [1, 2, 15, 17, 33, 70])
def test_a_sequence_scores_the_same_alone_and_in_any_batch(
    kind: str, num_sequences: int, dtype: Precision
) -> None:
    gssm = build(kind)
    tokens = gssm.sample(num_sequences, 12)
    alone = [gssm.nll(tokens[i : i + 1], dtype=dtype)[0] for i in range(num_sequences)]
    np.testing.assert_array_equal(gssm.nll(tokens, dtype=dtype, num_threads=1), alone)


def test_threads_do_not_change_likelihoods() -> None:
    gssm = build("diamond")
    tokens = gssm.sample(100, 12)
    one = gssm.nll(tokens, num_threads=1)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(gssm.nll(tokens, num_threads=threads), one)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_agrees_with_float64_to_single_precision(kind: str) -> None:
    gssm = build(kind)
    tokens = gssm.sample(4, 200)
    double = gssm.nll(tokens, per_token=True)
    single = gssm.nll(tokens, per_token=True, dtype="float32")
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_float32_scores_tokens_too_improbable_for_its_range() -> None:
    names = [f"Z{i}" for i in range(1, 6)]
    nodes = [*(node(name, 2) for name in names), token(4, *names)]
    gssm = GSSM.from_config({"nodes": nodes}, seed=0)
    gssm.kernels["X"] = [np.array([[1, 1, 1, 1e-10]] * 2) for _ in names]
    nll = gssm.nll([[0, 3, 1]], dtype="float32")
    np.testing.assert_allclose(nll, gssm.nll([[0, 3, 1]]), rtol=1e-6)
    assert nll[0] > 50 * math.log(10)


@pytest.mark.parametrize("smallest", [1e-9, 3e-10, 1e-10, 3e-11, 1.2e-11, 6e-12])
@pytest.mark.parametrize("num_sequences", [1, MANY])
def test_float32_scores_tokens_near_the_end_of_its_range(
    smallest: float, num_sequences: int
) -> None:
    names = [f"Z{i}" for i in range(1, 5)]
    gssm = GSSM.from_config({"nodes": [*(node(z, 2) for z in names), token(4, *names)]}, seed=0)
    gssm.kernels["X"] = [np.array([[1, 1, 1, smallest]] * 2) for _ in names]
    tokens = [[0, 3], [0, 1]] * num_sequences
    nll = gssm.nll(tokens, dtype="float32", num_threads=1)
    np.testing.assert_allclose(nll, gssm.nll(tokens), rtol=1e-6)


def test_long_nearly_impossible_sequences_stay_finite() -> None:
    gssm = GSSM.from_config(
        {"nodes": [node("Z1", 3, "X", alpha=1e-6), token(5, "Z1", alpha=1e-6)]}, seed=1
    )
    tokens = np.random.default_rng(0).integers(0, 5, (3, 3000))
    tokens[:, 0] = 0
    nll = gssm.nll(tokens)
    assert np.isfinite(nll).all()
    np.testing.assert_allclose(nll, dense_nll(gssm, tokens), rtol=1e-9)


def test_any_integer_type_and_memory_order_scores_the_same() -> None:
    gssm = build("feedback")
    tokens = gssm.sample(6, 9)
    expected = gssm.nll(tokens)
    for other in (tokens.astype(np.int64), tokens.tolist(), np.asfortranarray(tokens)):
        np.testing.assert_array_equal(gssm.nll(other), expected)


def test_nothing_to_predict_gives_zero_and_no_sequences_give_none() -> None:
    gssm = build("feedback")
    np.testing.assert_array_equal(gssm.nll([[0], [0]]), [0, 0])
    assert gssm.nll([[0], [0]], per_token=True).shape == (2, 0)
    assert gssm.nll(np.zeros((0, 5), int)).shape == (0,)


def test_vocabularies_above_256_tokens_are_scored() -> None:
    gssm = GSSM.from_config({"nodes": [node("Z1", 3, "X"), token(300, "Z1", alpha=10)]}, seed=0)
    tokens = gssm.sample(3, 30)
    assert tokens.max() > 255
    np.testing.assert_allclose(gssm.nll(tokens), dense_nll(gssm, tokens), rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_nll_equals_a_dense_forward_pass_on_random_graphs(data: st.DataObject) -> None:
    num_latents = data.draw(st.integers(1, 4))
    names = [f"Z{i}" for i in range(num_latents)]
    types = st.sampled_from(["product", "fullrank"])
    nodes = []
    for i, name in enumerate(names):
        parents = data.draw(st.lists(st.sampled_from(["X", *names[:i]]), unique=True))
        states = data.draw(st.integers(2, 5))
        nodes.append(node(name, states, *parents, kernel_type=data.draw(types)))
    seen = data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    nodes.append(token(3, *seen, kernel_type=data.draw(types)))
    gssm = GSSM.from_config({"nodes": data.draw(st.permutations(nodes))}, seed=0)
    tokens = gssm.sample(2, 8)
    np.testing.assert_allclose(gssm.nll(tokens), dense_nll(gssm, tokens), rtol=1e-9)


LARGE = """
import resource, sys
from tests.gssm.graphs import independent_latents
gssm = independent_latents(8, 4, tokens=64)
nll = gssm.nll(gssm.sample(32, 16), num_threads=2)
assert nll.shape == (32,) and (nll > 0).all()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
def test_eight_latents_of_four_states_are_scored_in_under_four_gigabytes() -> None:
    run = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 4e9


@pytest.mark.slow
def test_eight_latents_of_four_states_score_like_a_sum_over_joint_states_by_hand() -> None:
    gssm = independent_latents(8, 4, tokens=64)
    tokens = gssm.sample(2, 6)
    # Independent of the code under test: einsum with one letter per latent.
    emission = gssm.tables["X"].reshape(*[4] * 8, 64)
    for row, nll in zip(tokens, gssm.nll(tokens), strict=True):
        joint = np.zeros([4] * 8)
        joint[(0,) * 8] = 1
        total = 0.0
        for before, after in itertools.pairwise(row.tolist()):
            for axis in range(8):
                table = gssm.tables[f"Z{axis + 1}"].reshape(4, 64, 4)[:, before]
                joint = np.moveaxis(np.tensordot(joint, table, (axis, 0)), -1, axis)
            joint = joint * emission[..., after]
            total -= math.log(joint.sum())
            joint /= joint.sum()
        assert nll == pytest.approx(total, rel=1e-10)
