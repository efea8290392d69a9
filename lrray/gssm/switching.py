"""Sequences in which one latent is switched to another state midway, for tests of adaptation.

Axis letters: n sequence, t step, v state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrray.errors import LrrayError, did_you_mean
from lrray.gssm.kernels import context_nodes
from lrray.gssm.model import GSSM


def sample_switched(
    gssm: GSSM, num_sequences: int, seq_len: int, latent: str, at: int, seed: int = 0
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pairs of sequences that are one until a latent is switched at step ``at``.

    At that step the latent takes, instead of the state that it draws, one of its others, each as
    likely; from there on everything follows the graph's own law, driven by the same uniform
    numbers in both. So the two differ by the switch alone.

    Args:
        gssm: whose kernels are fixed.
        num_sequences: how many pairs.
        seq_len: tokens per sequence, the begin token included.
        latent: name of the latent.
        at: step of the switch, 1 <= at < seq_len; the token of this step is the first to differ.
        seed: of the sequences; they have nothing in common with the graph's streams.

    Returns:
        Tokens with and without the switch, ``[num_sequences, seq_len]`` each.

    Raises:
        LrrayError: no such latent; a ``context`` graph; a step outside the sequence.
    """
    check_switch(gssm, latent, at, seq_len)
    rng = np.random.default_rng(np.random.SeedSequence([0x5317C4, gssm.seed, seed]))
    nodes = [*gssm.graph.latents, gssm.graph.observed]
    uniforms = rng.random((seq_len - 1, len(nodes), num_sequences))
    shifts = rng.integers(1, gssm.graph.node(latent).state_dim, num_sequences)
    both = []
    for shift in (shifts, np.zeros_like(shifts)):
        states = {node.name: np.zeros(num_sequences, np.int64) for node in nodes}
        tokens = np.zeros((num_sequences, seq_len), gssm.token_dtype)
        for step in range(1, seq_len):
            for node, uniform in zip(nodes, uniforms[step - 1], strict=True):
                # Latents come first, so a feedback parent still holds the previous token.
                parents = tuple(states[name] for name in gssm.graph.inputs(node))
                row = np.ravel_multi_index(parents, gssm.graph.input_dims(node))
                reached = gssm.tables[node.name][row].cumsum(axis=1)
                drawn = (uniform[:, None] >= reached[:, :-1]).sum(axis=1)
                if step == at and node.name == latent:
                    drawn = (drawn + shift) % node.state_dim
                states[node.name] = drawn
            tokens[:, step] = states[gssm.graph.observed.name]
        both.append(tokens)
    return both[0], both[1]


def check_switch(gssm: GSSM, latent: str, at: int, seq_len: int) -> None:
    """Refuses a switch that the graph or the sequences do not have.

    Raises:
        LrrayError: which, and why.
    """
    names = [node.name for node in gssm.graph.latents]
    if latent not in names:
        raise LrrayError(
            "latent", "must name a latent", got=latent, fix=did_you_mean(latent, names)
        )
    if context_nodes(gssm.graph):
        raise LrrayError(
            "latent", "a graph with context nodes has no exact law to compare with",
            got=latent, fix="use a graph without context nodes",
        )  # fmt: skip
    if not 1 <= at < seq_len:
        raise LrrayError(
            "at", f"must be a step of the sequence, 1 to {seq_len - 1}", got=at,
            fix=f"at: {seq_len // 2}",
        )  # fmt: skip
