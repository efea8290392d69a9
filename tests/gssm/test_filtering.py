"""Predictive and filtered laws against sums over all latent paths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrray.errors import LrrayError
from lrray.gssm import GSSM, filtering
from tests.gssm.graphs import CONTEXT_KINDS, KINDS, build, independent_latents
from tests.gssm.oracles import likelihood, weights_of_last_state


def num_steps(gssm: GSSM) -> int:
    return 3 if gssm.graph.num_joint_states <= 12 else 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_next_token_is_the_share_of_all_paths_that_go_on_with_it(kind: str, seed: int) -> None:
    gssm = build(kind, seed)
    tokens = gssm.sample(2, num_steps(gssm), stream_seed=1)
    laws = gssm.next_token(tokens)
    assert laws.shape == (2, tokens.shape[1] - 1, gssm.vocab_size)
    for row, law in zip(tokens.tolist(), laws, strict=True):
        for step in range(1, len(row)):
            past = row[:step]
            whole = likelihood(gssm, past)
            expected = [likelihood(gssm, [*past, x]) / whole for x in range(gssm.vocab_size)]
            np.testing.assert_allclose(law[step - 1], expected, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_joint_posterior_is_the_share_of_all_paths_that_end_there(kind: str, seed: int) -> None:
    gssm = build(kind, seed)
    tokens = gssm.sample(2, num_steps(gssm), stream_seed=2)
    laws = gssm.joint_posterior(tokens)
    dims = tuple(latent.state_dim for latent in gssm.graph.latents)
    assert laws.shape == (*tokens.shape, *dims)
    for row, law in zip(tokens.tolist(), laws, strict=True):
        for step in range(len(row)):
            weights = np.array(weights_of_last_state(gssm, row[: step + 1]))
            np.testing.assert_allclose(law[step].ravel(), weights / weights.sum(), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_posterior_of_a_latent_is_the_joint_one_summed_over_the_others(kind: str) -> None:
    gssm = build(kind)
    tokens = gssm.sample(5, 40)
    joint, marginals = gssm.joint_posterior(tokens), gssm.posterior(tokens)
    assert list(marginals) == [latent.name for latent in gssm.graph.latents]
    for axis, law in enumerate(marginals.values()):
        others = tuple(i + 2 for i in range(len(marginals)) if i != axis)
        np.testing.assert_allclose(law, joint.sum(axis=others), rtol=1e-12)
        np.testing.assert_allclose(law.sum(axis=2), 1, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_log_loss_of_next_token_is_the_nll(kind: str) -> None:
    gssm = build(kind)
    tokens = gssm.sample(40, 60, stream_seed=4)
    laws = gssm.next_token(tokens)
    np.testing.assert_allclose(laws.sum(axis=2), 1, rtol=1e-12)
    own = np.take_along_axis(laws, tokens[:, 1:, None].astype(int), axis=2)[..., 0]
    np.testing.assert_allclose(-np.log(own), gssm.nll(tokens, per_token=True), atol=1e-9)
    assert -np.log(own).sum() == pytest.approx(gssm.nll(tokens).sum(), rel=1e-11)


def test_filtered_latents_are_as_often_right_as_they_say() -> None:
    gssm = independent_latents(2, 4, tokens=8)
    tokens, latents = gssm.sample(500, 40, return_latents=True)
    for name, law in gssm.posterior(tokens).items():
        true = np.take_along_axis(law, latents[name][..., None].astype(int), axis=2)[:, 1:]
        # E[p(true state)] = E[sum of p squared] under the exact law; both averaged over sequences
        difference = (true[..., 0] - (law[:, 1:] ** 2).sum(axis=2)).mean(axis=1)
        error = difference.std(ddof=1) / math.sqrt(len(difference))
        assert abs(difference.mean()) < 4 * error


def test_groups_of_sequences_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    gssm = build("diamond")
    tokens = gssm.sample(50, 10)
    whole = gssm.next_token(tokens), gssm.joint_posterior(tokens), *gssm.posterior(tokens).values()
    monkeypatch.setattr(filtering, "_BLOCK", 1)
    parts = gssm.next_token(tokens), gssm.joint_posterior(tokens), *gssm.posterior(tokens).values()
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_sequences_and_the_begin_token_alone_are_allowed() -> None:
    gssm = build("feedback")
    assert gssm.next_token(np.zeros((0, 5), int)).shape == (0, 4, 4)
    assert gssm.next_token([[0]]).shape == (1, 0, 4)
    np.testing.assert_array_equal(gssm.posterior([[0]])["Z1"], [[[1, 0, 0]]])


@pytest.mark.parametrize("method", ["next_token", "posterior", "joint_posterior"])
def test_laws_beyond_memory_are_refused_with_their_size(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filtering, "MAX_WORKSPACE_GB", 0.001)
    gssm = independent_latents(2, 4, tokens=16)
    with pytest.raises(LrrayError, match=r"in 0.001 GB, but got '0.\d GB for 500 x .*fewer"):
        getattr(gssm, method)(np.zeros((500, 2_000), int))


@pytest.mark.parametrize("kind", CONTEXT_KINDS)
@pytest.mark.parametrize("method", ["next_token", "posterior", "joint_posterior"])
def test_context_graphs_have_no_exact_laws(kind: str, method: str) -> None:
    with pytest.raises(LrrayError, match="no closed-form likelihood"):
        getattr(build(kind), method)([[0, 1]])


def test_tokens_are_checked_as_those_of_the_likelihood() -> None:
    with pytest.raises(LrrayError, match="column 0 must hold the begin token"):
        build("feedback").posterior([[1, 2]])
