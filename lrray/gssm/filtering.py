"""What is known of latents and of the next token at each step, by the forward algorithm.

Axis letters: n sequence, t step, s joint state, v token.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lrray.errors import LrrayError
from lrray.gssm.likelihood import MAX_WORKSPACE_GB, ForwardPlan

Law = NDArray[np.float64]

_BLOCK = 2**20
"""Numbers of one group of sequences' joint law: a few megabytes."""


def next_token_laws(plan: ForwardPlan, tokens: NDArray[np.unsignedinteger]) -> Law:
    """p(token | its past) of every token of the vocabulary, ``[n, t - 1, v]``.

    Raises:
        LrrayError: they do not fit in memory.
    """
    num_sequences, num_steps = tokens.shape
    laws = empty_laws((num_sequences, num_steps - 1, len(plan.emission)))
    for group in _groups(plan, num_sequences):
        for step, (predicted, _) in enumerate(_filter(plan, tokens[group])):
            laws[group, step] = predicted.T @ plan.by_state
    return laws


def joint_posterior(plan: ForwardPlan, tokens: NDArray[np.unsignedinteger]) -> Law:
    """p(joint state | tokens up to its own), ``[n, t, s]``; at t = 0 all latents are in state 0.

    Raises:
        LrrayError: it does not fit in memory.
    """
    laws = empty_laws((*tokens.shape, plan.num_states))
    for group in _groups(plan, len(tokens)):
        laws[group, 0] = np.arange(plan.num_states) == 0
        for step, (_, filtered) in enumerate(_filter(plan, tokens[group]), start=1):
            laws[group, step] = filtered.T
    return laws


def marginal_posteriors(plan: ForwardPlan, tokens: NDArray[np.unsignedinteger]) -> list[Law]:
    """p(latent's state | tokens up to its own) of each latent, ``[n, t, states of the latent]``.

    Raises:
        LrrayError: they do not fit in memory.
    """
    dims = [int(dim) for dim in plan.dim]
    every = empty_laws((*tokens.shape, sum(dims)))
    laws = np.split(every, np.cumsum(dims)[:-1], axis=2)  # views
    for group in _groups(plan, len(tokens)):
        for dim, law in zip(dims, laws, strict=True):
            law[group, 0] = np.arange(dim) == 0
        for step, (_, filtered) in enumerate(_filter(plan, tokens[group]), start=1):
            joint = filtered.reshape(*dims, -1)
            for axis, law in enumerate(laws):
                others = tuple(i for i in range(len(dims)) if i != axis)
                law[group, step] = joint.sum(axis=others).T
    return laws


def _filter(plan: ForwardPlan, tokens: NDArray[np.unsignedinteger]) -> Iterator[tuple[Law, Law]]:
    """For t = 1, 2, …: p(joint state | tokens before t) and p(joint state | tokens to t).

    Both ``[s, n]`` and overwritten by the next step.
    """
    joint = np.zeros((plan.num_states, len(tokens)))
    joint[0] = 1
    predicted = np.empty_like(joint)
    by_state = plan.by_state
    for step in range(1, tokens.shape[1]):
        plan.advance(joint, tokens[:, step - 1].astype(np.int64))
        predicted[:] = joint
        joint *= by_state[:, tokens[:, step]]
        joint /= joint.sum(axis=0)
        yield predicted, joint


def _groups(plan: ForwardPlan, num_sequences: int) -> Iterator[slice]:
    """Slices of sequences that are filtered side by side."""
    size = max(8, _BLOCK // plan.num_states)
    for first in range(0, num_sequences, size):
        yield slice(first, first + size)


def empty_laws(shape: tuple[int, ...]) -> Law:
    """An array for one law per sequence and step.

    Raises:
        LrrayError: it would take more than ``MAX_WORKSPACE_GB``.
    """
    gigabytes = 8 * np.prod(shape, dtype=float) / 1e9
    if gigabytes > MAX_WORKSPACE_GB:
        raise LrrayError(
            "tokens", f"the laws at all steps must fit in {MAX_WORKSPACE_GB:g} GB",
            got=f"{gigabytes:.1f} GB for {' x '.join(map(str, shape))} numbers",
            fix="give fewer sequences at a time",
        )  # fmt: skip
    return np.empty(shape)
