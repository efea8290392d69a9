"""GSSM: synthetic token sequences from small graphs of latent variables, and their exact law."""

from lrray.gssm.graph import GraphConfig, NodeConfig
from lrray.gssm.model import GSSM, MonteCarloNLL

__all__ = ["GSSM", "GraphConfig", "MonteCarloNLL", "NodeConfig"]
