"""The exact law of a GSSM's n-grams, and its conditional entropies.

The law of a joint state z together with the last n tokens is carried from step to step: moving
the latents gives the law of the next state, weighing by the emission probabilities appends a token.
Contexts stand side by side as lanes, and are taken up in blocks, depth first, so that memory holds
a block per token of the context and not all contexts.

Since a token depends on the latents alone, these are a Markov chain by themselves, whose
transitions average over the token that feedback edges see. Its law in the *long run* is the fixed
point that is reached from the start state.

Axis letters: s joint state, l lane (a context), v token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrray.errors import LrrayError
from lrray.gssm.graph import GraphConfig

if TYPE_CHECKING:  # whoever asks for the largest order does without Numba
    from lrray.gssm.likelihood import ForwardPlan

Law = NDArray[np.float64]

MAX_ORDER = 4
MAX_CONTEXT_STATES = 2**31
"""Most contexts times joint states of one law: minutes of one core."""

MAX_TOKEN_STATES = 2**25
"""Most tokens times joint states: 256 MB, held once per token of a context."""

_LONG_RUN_STEPS = 2**14
_SETTLED = 1e-13
_BLOCK = 2**19


def check_order(graph: GraphConfig, order: int) -> None:
    """Refuses an order whose contexts are too many, and a graph that is too large for any.

    Raises:
        LrrayError: contexts times joint states exceed ``MAX_CONTEXT_STATES``, or tokens times
            joint states ``MAX_TOKEN_STATES``.
    """
    states, vocab = graph.num_joint_states, graph.observed.state_dim
    if vocab**order * states > MAX_CONTEXT_STATES:
        raise LrrayError(
            "order",
            f"contexts x joint states must be at most {MAX_CONTEXT_STATES}",
            got=f"{vocab}**{order} x {states} = {vocab**order * states}",
            fix="ask for a lower order or use a smaller graph",
        )
    if vocab * states > MAX_TOKEN_STATES:
        raise LrrayError(
            "graph",
            f"joint states x tokens must be at most {MAX_TOKEN_STATES} for a law of n-grams",
            got=f"{states} x {vocab} = {states * vocab}",
            fix="use fewer or smaller latents",
        )


def long_run(plan: ForwardPlan) -> Law:
    """Law of the joint state far from the start, ``[s]``.

    Averages each law with its successor, so that a chain of any period settles, until a step
    changes less than 1e-13 in sum. A chain that has not settled after 16,384 of these half
    steps is left there: around position 8,192, farther than sequences go. (Kernel entries of
    1e-10, which are a guard against underflow, would need 1e10 steps to show.)
    """
    law = first_law(plan)
    for _ in range(_LONG_RUN_STEPS):
        moved = next_law(plan, law)
        change = np.abs(moved - law).sum()
        law = (law + moved) / 2
        law /= law.sum()
        if change < _SETTLED:
            break
    return law


def first_law(plan: ForwardPlan) -> Law:
    """Law of the joint state at position 1, ``[s]``: one step after the start."""
    joint = np.zeros((plan.num_states, 1))
    joint[0] = 1
    plan.advance(joint, np.zeros(1, np.int64))
    return joint[:, 0]


def next_law(plan: ForwardPlan, law: Law) -> Law:
    """Law of the joint state one position later, over all tokens between; ``[s]``."""
    if not plan.feedback.any():
        joint = law[:, None].copy()
        plan.advance(joint, np.zeros(1, np.int64))
        return joint[:, 0]
    joint = law[:, None] * plan.by_state
    plan.advance(joint, np.arange(joint.shape[1]))
    return joint.sum(axis=1)


def ngram_blocks(plan: ForwardPlan, law: Law, order: int) -> Iterator[Law]:
    """p(``order`` tokens, then one more) where ``law`` is that of the first one's joint state.

    Yields:
        ``[contexts, v]``; all blocks together are all contexts in C order, summing to one.

    Cost: O(v**order * S * (sum(d_i) + v)).
    """
    yield from _blocks(plan, np.ascontiguousarray(plan.by_state), law[:, None], order)


def _blocks(plan: ForwardPlan, by_state: Law, predicted: Law, order: int) -> Iterator[Law]:
    """The same from the laws of the next joint state, ``[s, l]``, of several contexts."""
    if order == 0:
        yield predicted.T @ by_state
        return
    num_states, vocab = by_state.shape
    lanes = max(1, _BLOCK // (num_states * vocab))
    for first in range(0, predicted.shape[1], lanes):
        some = predicted[:, first : first + lanes]
        joint = (some[:, :, None] * by_state[:, None, :]).reshape(num_states, -1)
        plan.advance(joint, np.tile(np.arange(vocab), some.shape[1]))
        yield from _blocks(plan, by_state, joint, order - 1)


def conditional_entropy_bits(blocks: Iterable[Law]) -> float:
    """H(token | context) in bits, of a joint law in blocks ``[contexts, v]``."""
    nats = 0.0
    for law in blocks:
        context = np.broadcast_to(law.sum(axis=1, keepdims=True), law.shape)
        there = law > 0  # an outcome of p = 0 adds nothing
        nats -= float((law[there] * np.log(law[there] / context[there])).sum())
    return nats / float(np.log(2))


def entropy_by_position(plan: ForwardPlan, order: int, num_positions: int) -> Law:
    """H(token at position i | the ``order`` before it) in bits from the start, i = 1, 2, ….

    The begin token is known, so positions up to ``order`` see fewer tokens, and all of them.
    """
    law = first_law(plan)  # of the joint state at the position that the context begins at
    entropies = np.empty(num_positions)
    for i in range(num_positions):
        if i > order:
            law = next_law(plan, law)
        entropies[i] = conditional_entropy_bits(ngram_blocks(plan, law, min(order, i)))
    return entropies
