"""Sequences with a latent switched midway: the graph's own law but for one step."""

from __future__ import annotations

import numpy as np
import pytest

from lrray.errors import LrrayError
from lrray.gssm import GSSM
from lrray.gssm.switching import sample_switched


def graph(mode: str = "default") -> dict:
    return {
        "nodes": [
            {"name": "Z1", "state_dim": 3, "alpha": 0.5, "parents": ["X"], "mode": mode},
            {"name": "Z2", "state_dim": 2, "alpha": 0.5, "parents": ["Z1"]},
            {"name": "X", "state_dim": 4, "alpha": 0.3, "parents": ["Z1", "Z2"], "observed": True},
        ]
    }


GRAPH = GSSM.from_config(graph(), seed=3)


def test_sequences_without_a_switch_have_the_graphs_law() -> None:
    """Frequencies of all sequences of three tokens against their exact probabilities."""
    _, plain = sample_switched(GRAPH, 40_000, 4, "Z1", at=2)
    grid = np.indices((4, 4, 4)).reshape(3, -1).T
    every = np.concatenate([np.zeros((64, 1), int), grid], axis=1)
    expected = np.exp(-GRAPH.nll(every))
    assert expected.sum() == pytest.approx(1)
    counts = np.bincount(np.ravel_multi_index(plain[:, 1:].T, (4, 4, 4)), minlength=64)
    likely = expected > 1e-4
    score = (counts - 40_000 * expected)[likely] / np.sqrt(40_000 * expected[likely])
    assert (score**2).sum() < 1.6 * likely.sum()


def test_sequences_are_one_until_the_switch_and_differ_after_it() -> None:
    switched, plain = sample_switched(GRAPH, 2000, 12, "Z1", at=5)
    np.testing.assert_array_equal(switched[:, :5], plain[:, :5])
    assert (switched[:, 5] != plain[:, 5]).mean() > 0.3
    again, _ = sample_switched(GRAPH, 2000, 12, "Z1", at=5)
    np.testing.assert_array_equal(again, switched)


def test_the_switched_state_is_one_of_the_others_each_as_likely() -> None:
    """The token at the switch, against its law with the latent's law moved to the other states."""
    one = GSSM.from_config(
        {
            "nodes": [
                {"name": "Z1", "state_dim": 3, "alpha": 0.5},
                {"name": "X", "state_dim": 4, "alpha": 0.3, "parents": ["Z1"], "observed": True},
            ]
        },
        seed=1,
    )
    latent = one.tables["Z1"][0]  # from state 0 at step 0
    moved = (1 - latent) / 2  # of two others, each as likely
    switched, _ = sample_switched(one, 60_000, 2, "Z1", at=1)
    shares = np.bincount(switched[:, 1], minlength=4) / 60_000
    np.testing.assert_allclose(shares, moved @ one.tables["X"], atol=0.01)


@pytest.mark.parametrize(
    ("latent", "at", "mode", "said"),
    [
        ("Z9", 2, "default", "latent: must name a latent, but got 'Z9'"),
        ("Z1", 0, "default", r"at: must be a step of the sequence, 1 to 7, but got 0 \(fix: at: 4"),
        ("Z1", 8, "default", "1 to 7, but got 8"),
        ("Z1", 2, "context", "a graph with context nodes has no exact law"),
    ],
)
def test_a_switch_that_is_not_there_is_refused(latent, at, mode, said) -> None:
    with pytest.raises(LrrayError, match=said):
        sample_switched(GSSM.from_config(graph(mode), 0), 2, 8, latent, at)
