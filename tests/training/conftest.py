"""A graph that small models learn in seconds, and models to learn it."""

import pytest
import torch

from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.training import TrainConfig

torch.set_num_threads(1)

GRAPH = {
    "nodes": [
        {"name": "Z1", "state_dim": 3, "alpha": 0.3},
        {"name": "X", "state_dim": 4, "alpha": 0.3, "parents": ["Z1"], "observed": True},
    ]
}


@pytest.fixture(scope="session")
def gssm():
    return GSSM.from_config(GRAPH, seed=1)


@pytest.fixture(scope="session")
def telling():
    """A graph with much to learn beyond unigrams (0.8 bits), and something beyond trigrams."""
    nodes = [
        {"name": "Z1", "state_dim": 4, "alpha": 0.1, "parents": ["X"]},
        {"name": "X", "state_dim": 4, "alpha": 0.1, "parents": ["Z1"], "observed": True},
    ]
    return GSSM.from_config({"nodes": nodes}, seed=5)


@pytest.fixture
def make_model():
    def make(**keys):
        settings = {"type": "mingru", "hidden_size": 8, "num_hidden_layers": 1, **keys}
        return build_model(
            ModelConfig.model_validate(settings), vocab_size=4, context_len=16, seed=0
        )

    return make


@pytest.fixture
def make_config():
    def make(**keys):
        settings = {"steps": 6, "batch_size": 8, "seq_len": 16, "device": "cpu", "log_every": 1}
        return TrainConfig.model_validate({**settings, "eval_sequences": 8, **keys})

    return make
