"""GSSM: synthetic token sequences from small graphs of latent variables, and their exact law.

Numba loads with the first class that needs it: whoever reads a graph alone does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrray.gssm.context import MonteCarloEntropy, MonteCarloNLL
    from lrray.gssm.graph import GraphConfig, NodeConfig
    from lrray.gssm.model import GSSM
    from lrray.gssm.source import SequenceModel
    from lrray.gssm.surrogate import MarkovSurrogate

__all__ = [
    "GSSM", "GraphConfig", "MarkovSurrogate", "MonteCarloEntropy", "MonteCarloNLL", "NodeConfig",
    "SequenceModel", "compile_kernels",
]  # fmt: skip

_MODULES = {
    "GSSM": "model", "GraphConfig": "graph", "MarkovSurrogate": "surrogate",
    "MonteCarloEntropy": "context", "MonteCarloNLL": "context", "NodeConfig": "graph",
    "SequenceModel": "source",
}  # fmt: skip
"""Name -> the module here that is imported when it is first used."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def compile_kernels() -> None:
    """Compiles samplers and recursions into the cache, so that no first run waits for them."""
    from lrray.gssm.model import GSSM

    nodes = [
        {"name": "Z1", "state_dim": 2, "alpha": 0.5},
        {"name": "X", "state_dim": 2, "alpha": 0.5, "parents": ["Z1"], "observed": True},
    ]
    gssm = GSSM.from_config({"nodes": nodes}, seed=0)
    for num_sequences in (1, 32):  # scored one by one, and side by side
        gssm.nll(gssm.sample(num_sequences, 4), num_threads=1)
    gssm.sample(1, 4, return_latents=True)
    gssm.markov_surrogate(1).sample(1, 4)
