"""What a switch costs a model beside the exact predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lrray.gssm import GSSM
from lrray.training.adaptation import adaptation
from tests.gssm.test_switching import GRAPH


class Exact(torch.nn.Module):
    """Predicts as the graph's own law does; or, ``late``, as if it saw no token of the last few."""

    def __init__(self, gssm: GSSM, late: int = 0) -> None:
        super().__init__()
        self.gssm, self.late = gssm, late
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        padded = np.concatenate([tokens.numpy(), np.zeros((len(tokens), 1), int)], axis=1)
        law = self.gssm.next_token(padded)
        if self.late:
            start = np.repeat(law[:, :1], self.late, axis=1)
            law = np.concatenate([start, law[:, : -self.late]], axis=1)
        return torch.from_numpy(np.log(law)).float()


def test_the_exact_predictions_pay_nothing_for_a_switch() -> None:
    found = adaptation(Exact(GRAPH), GRAPH, "Z1", 5, 64, 16, batch_size=24)
    for name in ("kl_after_switch_bits", "kl_without_switch_bits", "kl_switch_cost_bits"):
        assert found[name] == pytest.approx(0, abs=1e-5), name


def test_a_model_that_sees_late_pays_until_it_has_seen_the_switch() -> None:
    slow = GSSM.from_config(
        {
            "nodes": [
                {"name": "Z1", "state_dim": 2, "alpha": 0.3, "mode": "slow"},
                {"name": "X", "state_dim": 8, "alpha": 0.2, "parents": ["Z1"], "observed": True},
            ]
        },
        seed=0,
    )
    found = adaptation(Exact(slow, late=2), slow, "Z1", 8, 512, 24, batch_size=512)
    after = found["kl_after_switch_by_distance_bits"]
    without = found["kl_without_switch_by_distance_bits"]
    assert list(after) == ["1", "2-3", "4-7", "8-15"]
    assert after["2-3"] > 3 * without["2-3"]
    assert after["8-15"] == pytest.approx(without["8-15"], abs=0.1)
    cost = found["kl_after_switch_bits"] - found["kl_without_switch_bits"]
    assert found["kl_switch_cost_bits"] == pytest.approx(cost)
    assert found["kl_switch_cost_bits"] > 3 * found["kl_switch_cost_bits_se"]
