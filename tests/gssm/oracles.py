"""Brute force in plain Python: the law of a GSSM from its kernels, path by path."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
from scipy.stats import chi2

from lrray.gssm import GSSM, NodeConfig

State = dict[str, int]


def probability(gssm: GSSM, node: NodeConfig, inputs: tuple[int, ...], new: int) -> float:
    """p(new | inputs) from the node's kernels, by the definition."""
    matrices = gssm.kernels[node.name]
    if node.kernel_type == "fullrank":
        row = matrices[0][np.ravel_multi_index(inputs, gssm.graph.input_dims(node))]
    else:
        row = math.prod(matrix[i] for matrix, i in zip(matrices, inputs, strict=True))
    return float(row[new] / row.sum())


def inputs_of(gssm: GSSM, node: NodeConfig, old: State, new: State) -> tuple[int, ...]:
    """The node's inputs: its own past, parents' new states, but the previous token."""
    token = gssm.graph.observed.name
    own = () if node.observed else (old[node.name],)
    return (*own, *(old[name] if name == token else new[name] for name in node.parents))


def step_probability(gssm: GSSM, old: State, new: State) -> float:
    """p(all nodes' new states | all nodes' old states)."""
    return math.prod(
        probability(gssm, node, inputs_of(gssm, node, old, new), new[node.name])
        for node in gssm.graph.nodes
    )


def latent_states(gssm: GSSM) -> Iterator[State]:
    names = [node.name for node in gssm.graph.latents]
    for states in itertools.product(*(range(node.state_dim) for node in gssm.graph.latents)):
        yield dict(zip(names, states, strict=True))


def likelihood(gssm: GSSM, tokens: list[int]) -> float:
    """p(tokens): the sum over every latent path, one path at a time, without recursion."""
    return sum(weights_of_last_state(gssm, tokens))


def weights_of_last_state(gssm: GSSM, tokens: list[int]) -> list[float]:
    """p(tokens, last joint state) for every one of :func:`latent_states`, path by path."""
    X = gssm.graph.observed.name
    every = list(latent_states(gssm))
    steps = []  # one table of transition probabilities per step
    for before, after in itertools.pairwise(tokens):
        steps.append(
            [
                [step_probability(gssm, {**old, X: before}, {**new, X: after}) for new in every]
                for old in every
            ]
        )
    weights = [0.0] * len(every)
    for path in itertools.product(range(len(every)), repeat=len(steps)):
        weights[(0, *path)[-1]] += math.prod(
            table[old][new] for table, old, new in zip(steps, (0, *path), path, strict=False)
        )
    return weights


def law_of_tokens(gssm: GSSM, num_steps: int) -> dict[tuple[int, ...], float]:
    """p of every token sequence of ``num_steps`` steps after the begin token."""
    X = gssm.graph.observed.name
    start = {node.name: 0 for node in gssm.graph.nodes}
    law = {(): {tuple(start.items()): 1.0}}
    successors = [{**z, X: x} for z in latent_states(gssm) for x in range(gssm.vocab_size)]
    for _ in range(num_steps):
        longer: dict[tuple[int, ...], dict[tuple[tuple[str, int], ...], float]] = {}
        for tokens, states in law.items():
            for old, weight in states.items():
                for new in successors:
                    reached = longer.setdefault((*tokens, new[X]), defaultdict(float))
                    step = step_probability(gssm, dict(old), new)
                    reached[tuple(new.items())] += weight * step
        law = longer
    return {tokens: sum(states.values()) for tokens, states in law.items()}


def law_of_ngrams(gssm: GSSM, num_tokens: int) -> np.ndarray:
    """p of ``num_tokens`` tokens in a row in the long run, one axis per token.

    By dense algebra on the chain of all nodes' states, the token among them.
    """
    X = gssm.graph.observed.name
    states = [{**z, X: x} for z in latent_states(gssm) for x in range(gssm.vocab_size)]
    chain = np.array([[step_probability(gssm, old, new) for new in states] for old in states])
    lazy = (chain + np.eye(len(states))) / 2  # of the same long run, but never periodic
    # Rows drift off their sum of 1 as they are squared.
    for _ in range(40):
        lazy = lazy @ lazy
        lazy /= lazy.sum(axis=1, keepdims=True)
    token = np.array([[state[X] == x for x in range(gssm.vocab_size)] for state in states])
    law = lazy[0] * token.T  # [x, state]
    for _ in range(num_tokens - 1):
        law = np.einsum("...i,ij,jx->...xj", law, chain, token)
    return law.sum(axis=-1)


def conditional_entropy_bits(law: np.ndarray) -> float:
    """H(last token | the others) in bits, from the law of several tokens, one axis each."""
    last = law / law.sum(axis=-1, keepdims=True)
    return float(-(law * np.log2(last)).sum())


def law_of_tokens_in_context(gssm: GSSM, num_steps: int) -> dict[tuple[int, ...], float]:
    """The same where kernels of ``context`` nodes are integrated out, for one kernel per node.

    Given its row's earlier visits, a new state follows Polya's urn: (count + alpha) / (total +
    alpha * states).
    """
    graph, X = gssm.graph, gssm.graph.observed.name
    successors = [{**z, X: x} for z in latent_states(gssm) for x in range(gssm.vocab_size)]
    law: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(successors, repeat=num_steps):
        visits: Counter[tuple[object, ...]] = Counter()
        weight, old = 1.0, {node.name: 0 for node in graph.nodes}
        for new in path:
            for node in graph.nodes:
                row, state = inputs_of(gssm, node, old, new), new[node.name]
                if node.mode != "context":
                    weight *= probability(gssm, node, row, state)
                    continue
                assert node.alpha is not None
                favour = visits[node.name, row, state] + node.alpha
                weight *= favour / (visits[node.name, row] + node.alpha * node.state_dim)
                visits[node.name, row, state] += 1
                visits[node.name, row] += 1
            old = new
        law[tuple(state[X] for state in path)] += weight
    return law


def chi_square_p_value(tokens: np.ndarray, law: dict[tuple[int, ...], float]) -> float:
    """Of the first tokens' joint counts against their law; rare outcomes are pooled."""
    observed = dict.fromkeys(law, 0)
    for row, count in zip(*np.unique(tokens, axis=0, return_counts=True), strict=True):
        observed[tuple(row.tolist())] += int(count)
    expected = {outcome: p * len(tokens) for outcome, p in law.items()}
    common = [outcome for outcome in law if expected[outcome] >= 10]
    counts = np.array([observed[outcome] for outcome in common], float)
    means = np.array([expected[outcome] for outcome in common])
    if (rest := len(tokens) - means.sum()) >= 10:
        counts, means = np.append(counts, len(tokens) - counts.sum()), np.append(means, rest)
    assert len(means) > 2
    return float(chi2.sf(((counts - means) ** 2 / means).sum(), len(means) - 1))
