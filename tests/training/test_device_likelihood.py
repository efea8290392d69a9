"""The likelihood that torch computes is the compiled one's, which enumeration checks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lrray.gssm import GSSM
from lrray.training import device_likelihood
from lrray.training.device_likelihood import nll_on_device

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def latents(parents: dict[str, list[str]], states: int, alpha: float) -> list[dict]:
    return [
        {"name": name, "state_dim": states, "alpha": alpha, "parents": own,
         "kernel_type": "fullrank"}
        for name, own in parents.items()
    ]  # fmt: skip


def gssm(parents: dict[str, list[str]], states: int, vocab: int, alpha: float = 0.3) -> GSSM:
    observed = {"name": "X", "state_dim": vocab, "alpha": alpha, "parents": list(parents),
                "observed": True}  # fmt: skip
    return GSSM.from_config({"nodes": [*latents(parents, states, alpha), observed]}, seed=3)


GRAPHS = {
    "one latent": {"Z1": []},
    "feedback": {"Z1": ["X"], "Z2": ["X"], "Z3": []},
    "a chain": {"Z1": ["X"], "Z2": ["Z1"], "Z3": ["Z2", "Z1"]},
    "a fork beside a latent alone": {"Z1": [], "Z2": ["X"], "Z3": ["Z1"]},
}


@pytest.mark.parametrize("parents", GRAPHS.values(), ids=GRAPHS)
def test_it_is_the_compiled_likelihood(parents, monkeypatch) -> None:
    graph = gssm(parents, 3, 5)
    tokens = graph.sample(7, 40)
    # Three sequences at once: several groups, the last one smaller.
    monkeypatch.setattr(device_likelihood, "LANE_BYTES", 3 * 4 * graph.graph.num_joint_states)
    found = nll_on_device(graph, tokens, DEVICE)
    assert found.shape == (7, 39)
    np.testing.assert_allclose(found, graph.nll(tokens, per_token=True), atol=2e-5)


def test_a_sequence_too_improbable_for_float32_is_scored_in_float64() -> None:
    graph = gssm({f"Z{i}": [] for i in range(5)}, 2, 6, alpha=1e-3)
    tokens = np.random.default_rng(0).integers(6, size=(3, 30))
    tokens[:, 0] = 0
    exact = graph.nll(tokens, per_token=True)
    assert exact.max() > 40
    np.testing.assert_allclose(nll_on_device(graph, tokens, DEVICE), exact, rtol=1e-9, atol=2e-5)


def test_it_scores_the_graph_of_eight_latents() -> None:
    graph = gssm({f"Z{i}": ["X"] for i in range(1, 9)}, 4, 64, alpha=0.05)
    tokens = graph.sample(2, 6)
    assert graph.graph.num_joint_states == 65_536
    found = nll_on_device(graph, tokens, DEVICE)
    np.testing.assert_allclose(found, graph.nll(tokens, per_token=True), atol=1e-4)
