"""Shared pieces of the tests."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Two test processes share two cores: libraries must not take both each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from lrray.config import parse
from lrray.gssm import GraphConfig

# How long an example takes says more about the machine than about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(scope="session")
def published_graph() -> GraphConfig:
    """The published graph: four latents of 4 states that all see the previous of 32 tokens."""
    latents = [f"Z{i}" for i in range(1, 5)]
    nodes = [
        {"name": name, "state_dim": 4, "parents": ["X"], "kernel_type": "fullrank"}
        for name in latents
    ]
    observed = {"name": "X", "state_dim": 32, "parents": latents, "kernel_type": "fullrank"}
    return parse(GraphConfig, {"nodes": [*nodes, {**observed, "observed": True}]}, "graph")
