"""Straightforward NumPy versions of sampling and likelihood.

They are what the compiled core is measured against, and oracles of its tests: nothing of
:mod:`lrray.gssm.sampling` and :mod:`lrray.gssm.forward` is used here.

Axis letters: n sequence, s old and t new joint latent state, v token.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from lrray.gssm import GSSM, NodeConfig


def sample_loop(
    gssm: GSSM, num_sequences: int, seq_len: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Samples ``[n, step]`` with a Python loop over steps, vectorised over sequences.

    Every node draws by inverting its cumulative table.
    """
    graph = gssm.graph
    cumulative = {name: np.cumsum(table, axis=1) for name, table in gssm.tables.items()}
    state = {node.name: np.zeros(num_sequences, np.int64) for node in graph.nodes}
    tokens = np.zeros((num_sequences, seq_len), np.int64)
    for step in range(1, seq_len):
        for node in (*graph.latents, graph.observed):
            inputs = tuple(state[name] for name in graph.inputs(node))
            row = np.ravel_multi_index(inputs, graph.input_dims(node))
            uniform = rng.random((num_sequences, 1))
            drawn = (cumulative[node.name][row] < uniform).sum(axis=1)
            state[node.name] = np.minimum(drawn, node.state_dim - 1)
        tokens[:, step] = state[graph.observed.name]
    return tokens


def dense_nll(gssm: GSSM, tokens: NDArray[np.integer]) -> NDArray[np.float64]:
    """NLL in nats ``[n]`` by the textbook forward pass: dense transition, log-sum-exp."""
    log_transition = np.log(dense_transition(gssm))
    log_emission = np.log(dense_emission(gssm))
    previous = np.minimum(tokens, len(log_transition) - 1)
    log_joint = np.full((len(tokens), log_emission.shape[0]), -np.inf)
    log_joint[:, 0] = 0
    for step in range(1, tokens.shape[1]):
        moved = log_joint[:, :, None] + log_transition[previous[:, step - 1]]
        log_joint = logsumexp(moved, axis=1) + log_emission[:, tokens[:, step]].T
    return -np.asarray(logsumexp(log_joint, axis=1))


def dense_transition(gssm: GSSM) -> NDArray[np.float64]:
    """``[previous token, s, t]`` over joint latent states; one layer where there is no feedback."""
    graph = gssm.graph
    dims = [node.state_dim for node in graph.latents]
    position = {node.name: i for i, node in enumerate(graph.latents)}
    states = np.indices(dims).reshape(len(dims), math.prod(dims))
    feedback = any(graph.observed.name in node.parents for node in graph.latents)
    token = np.arange(graph.observed.state_dim if feedback else 1)[:, None, None]

    def factor(node: NodeConfig) -> NDArray[np.float64]:
        old, new = states[:, :, None], states[:, None, :]
        inputs = [old[position[node.name]]]
        for name in node.parents:
            inputs.append(token if name == graph.observed.name else new[position[name]])
        table = gssm.tables[node.name].reshape(*graph.input_dims(node), node.state_dim)
        return np.asarray(table[(*inputs, new[position[node.name]])])

    product = np.ones((len(token), states.shape[1], states.shape[1]))
    for node in graph.latents:
        product = product * factor(node)
    return product


def dense_emission(gssm: GSSM) -> NDArray[np.float64]:
    """``[s, v]``: token probabilities given the joint latent state."""
    graph = gssm.graph
    dims = [node.state_dim for node in graph.latents]
    states = dict(
        zip((n.name for n in graph.latents), np.indices(dims).reshape(len(dims), -1), strict=True)
    )
    inputs = tuple(states[name] for name in graph.observed.parents)
    return gssm.tables[graph.observed.name][
        np.ravel_multi_index(inputs, graph.input_dims(graph.observed))
    ]
