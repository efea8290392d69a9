"""What a graph may be, in which order it is visited, and what breaking a rule answers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrray.config import dump_yaml, parse, parse_yaml
from lrray.errors import LrrayError
from lrray.gssm import GSSM, GraphConfig
from lrray.gssm.likelihood import check_workspace
from tests.gssm.graphs import CONTEXT_KINDS, KINDS, build, independent_latents, node, token


def two_nodes() -> dict[str, Any]:
    return {"nodes": [node("Z1", 4, "X"), token(8, "Z1")]}


def refused(config: Any, seed: Any = 0) -> str:
    with pytest.raises(LrrayError) as caught:
        GSSM.from_config(config, seed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


BROKEN_LATENTS: list[tuple[dict[str, Any], str]] = [
    (
        {"parents": ["Z2"]},
        "graph: nodes[0].parents[0]: a parent must be a node of the graph, but got 'Z2' "
        "(fix: known: X, Z1)",
    ),
    (
        {"parents": ["X", "Z1"]},
        "graph: nodes[0].parents[1]: a node cannot be its own parent (a latent node always sees "
        "its own past), but got 'Z1' (fix: leave it out)",
    ),
    (
        {"parents": ["X", "X"]},
        "graph: nodes[0].parents[1]: parents must be distinct, but got 'X' (fix: name it once)",
    ),
    (
        {"parents": "X"},
        "graph: nodes[0].parents: must be a list, but got 'X' (fix: write [a, b])",
    ),
    (
        {"mode": "slow"},
        "graph: nodes[0].parents: a slow node must have no parents, but got ['X'] "
        "(fix: remove the parents or choose another mode)",
    ),
    (
        {"mode": "slwo"},
        "graph: nodes[0].mode: must be 'default', 'slow', 'dead' or 'context', but got 'slwo' "
        "(fix: did you mean 'slow'?)",
    ),
    (
        {"kernel_type": "full"},
        "graph: nodes[0].kernel_type: must be 'product' or 'fullrank', but got 'full' "
        "(fix: did you mean 'fullrank'?)",
    ),
    (
        {"state_dim": 1},
        "graph: nodes[0].state_dim: must be greater than or equal to 2, but got 1 "
        "(fix: give a value of at least 2)",
    ),
    (
        {"state_dim": 65537},
        "graph: nodes[0].state_dim: must be less than or equal to 65536, but got 65537 "
        "(fix: give a value of at most 65536)",
    ),
    (
        {"state_dim": 65536},
        "node Z1: the graph's conditional tables must have at most 134217728 entries, "
        "but got 34360262656 (fix: use fewer parents or fewer states)",
    ),
    (
        {"alpha": 0},
        "graph: nodes[0].alpha: must be greater than 0, but got 0 "
        "(fix: give a value greater than 0.0)",
    ),
    (
        {"alpha": float("inf")},
        "graph: nodes[0].alpha: must be a finite number, but got inf (fix: write e.g. 0.1)",
    ),
    (
        {"alpha": 1e7},
        "graph: nodes[0].alpha: must be less than or equal to 1000000, but got 10000000.0 "
        "(fix: give a value of at most 1000000.0)",
    ),
    (
        {"alpha": None},
        "node Z1: alpha must be set before kernels are drawn "
        "(fix: write 'alpha: 0.1' on the node or search over alpha_X and alpha_Z)",
    ),
    (
        {"name": "X"},
        "graph: nodes[1].name: node names must be unique, but got 'X' (fix: rename one of them)",
    ),
    ({"name": ""}, "graph: nodes[0].name: must not be empty, but got '' (fix: give it a name)"),
    (
        {"observed": True},
        "graph: nodes: exactly one node must be observed, but got ['Z1', 'X'] "
        "(fix: write 'observed: true' on the node that emits the tokens)",
    ),
    ({"observd": 1}, "graph: nodes[0]: unknown key 'observd' (fix: did you mean 'observed'?)"),
]


@pytest.mark.parametrize(("change", "expected"), BROKEN_LATENTS)
def test_a_broken_latent_is_refused_with_its_key_path(
    change: dict[str, Any], expected: str
) -> None:
    config = two_nodes()
    config["nodes"][0] |= change
    assert refused(config) == expected


BROKEN_TOKENS: list[tuple[dict[str, Any], str]] = [
    (
        {"parents": []},
        "graph: nodes[1].parents: the observed node needs at least one parent, but got [] "
        "(fix: name the latent nodes that the token depends on)",
    ),
    (
        {"mode": "dead"},
        "graph: nodes[1].mode: slow and dead nodes must be latent, but got 'dead' "
        "(fix: use mode default or context on the observed node)",
    ),
    (
        {"observed": False},
        "graph: nodes: exactly one node must be observed, but got [] "
        "(fix: write 'observed: true' on the node that emits the tokens)",
    ),
]


@pytest.mark.parametrize(("change", "expected"), BROKEN_TOKENS)
def test_a_broken_observed_node_is_refused(change: dict[str, Any], expected: str) -> None:
    config = two_nodes()
    config["nodes"][1] |= change
    assert refused(config) == expected


def test_a_cycle_among_latents_is_refused_with_its_members() -> None:
    nodes = [node("Z1", 2), node("Z2", 2, "Z3"), node("Z3", 2, "Z1", "Z2"), token(3, "Z1")]
    assert refused({"nodes": nodes}) == (
        "graph: nodes: the graph without feedback edges must be acyclic, but got ['Z2', 'Z3'] "
        "(fix: break the cycle among these nodes)"
    )


def test_what_is_no_graph_is_refused() -> None:
    mapping = "must be a mapping, but got 5 (fix: write 'key: value' lines)"
    assert refused(5) == f"graph: {mapping}"
    assert refused({"nodes": [5]}) == f"graph: nodes[0]: {mapping}"
    assert refused({}) == "graph: nodes: this key is required (fix: add 'nodes: …')"
    assert refused({"nodes": 5}) == "graph: nodes: must be a list, but got 5 (fix: write [a, b])"


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "1"])
def test_a_seed_that_is_no_64_bit_number_is_refused(seed: Any) -> None:
    expected = f"seed: must be an integer with 0 <= seed < 2**64, but got {seed!r}"
    assert refused(two_nodes(), seed) == expected


def test_latents_are_visited_after_their_latent_parents_and_before_the_token() -> None:
    graph = build("declared out of order").graph
    assert [latent.name for latent in graph.latents] == ["Z1", "Z2"]
    assert graph.observed.name == "X"
    assert graph.num_joint_states == 6


def test_inputs_are_the_own_past_and_then_the_parents_in_order() -> None:
    graph = build("feedback between the parents").graph
    assert graph.inputs(graph.node("Z3")) == ("Z3", "Z2", "X", "Z1")
    assert graph.input_dims(graph.node("Z3")) == (2, 3, 3, 2)
    assert graph.inputs(graph.observed) == ("Z3", "Z1")


@pytest.mark.parametrize("kind", [*KINDS, *CONTEXT_KINDS])
def test_a_graph_reads_back_equal_from_its_yaml(kind: str) -> None:
    graph = build(kind).graph
    assert parse(GraphConfig, parse_yaml(dump_yaml(graph.to_dict()), "graph"), "graph") == graph


def test_with_alphas_sets_the_observed_node_apart_from_all_latents() -> None:
    graph = independent_latents(3, 4, tokens=8).graph.with_alphas(1e-3, 0.2)
    assert [latent.alpha for latent in graph.latents] == [0.2] * 3
    assert graph.observed.alpha == 1e-3
    with pytest.raises(LrrayError, match=r"nodes\[3\]\.alpha: must be greater than 0, but got -1"):
        graph.with_alphas(-1, 0.2)


def calls(gssm: GSSM) -> list[tuple[Callable[[], Any], str]]:
    """Every way to call a GSSM wrongly, and what it answers."""
    tokens = gssm.sample(2, 5)
    ok = tokens.tolist()
    shape = "tokens: must be integers of shape [sequences, steps], but got "
    column = (
        "tokens: column 0 must hold the begin token 0, but got 3 "
        "(fix: score whole sequences, not pieces of them)"
    )
    return [
        (lambda: gssm.sample(-1, 5),
         "num_sequences: must be an integer with 0 <= num_sequences < 2**63, but got -1"),
        (lambda: gssm.sample(2, 0),
         "seq_len: must be an integer with 1 <= seq_len < 2**63, but got 0"),
        (lambda: gssm.sample(2.0, 5),  # type: ignore[arg-type]
         "num_sequences: must be an integer with 0 <= num_sequences < 2**63, but got 2.0"),
        (lambda: gssm.sample(2, 5, start=2**63),
         f"start: must be an integer with 0 <= start < 2**63, but got {2**63}"),
        (lambda: gssm.sample(2, 5, stream_seed=-1),
         "stream_seed: must be an integer with 0 <= stream_seed < 2**64, but got -1"),
        (lambda: gssm.sample(2, 5, num_threads=0),
         "num_threads: must be an integer with 1 <= num_threads < 1025, but got 0"),
        (lambda: gssm.sample(2**40, 2**40),
         "num_sequences x seq_len: the tokens must fit in memory, but got "
         f"'{2**40} x {2**40}' (fix: sample fewer at a time and move start along)"),
        (lambda: gssm.nll(tokens[0]), shape + "'uint8 (5,)'"),
        (lambda: gssm.nll(tokens * 1.0), shape + "'float64 (2, 5)'"),
        (lambda: gssm.nll([[0, 1], [0]]), shape + "'object (2,)'"),
        (lambda: gssm.nll([[0, 8]]), "tokens: must lie in 0 … 7, but got 8"),
        (lambda: gssm.nll([[0, -1]]), "tokens: must lie in 0 … 7, but got -1"),
        (lambda: gssm.nll([[3, 1]]), column),
        (lambda: gssm.nll(ok, num_threads=-2),
         "num_threads: must be an integer with 1 <= num_threads < 1025, but got -2"),
        (lambda: gssm.nll(ok, dtype="float16"),  # type: ignore[arg-type]
         "dtype: must be 'float64' or 'float32', but got 'float16'"),
        (lambda: gssm.nll_monte_carlo(ok, num_draws=1),
         "num_draws: must be an integer with 2 <= num_draws < 2**64, but got 1"),
        (lambda: gssm.nll_monte_carlo(ok, seed=-1),
         "seed: must be an integer with 0 <= seed < 2**64, but got -1"),
    ]  # fmt: skip


NUM_CALLS = len(calls(GSSM.from_config(two_nodes(), seed=0)))


@pytest.mark.parametrize("number", range(NUM_CALLS))
def test_a_wrong_call_is_told_in_one_line(number: int) -> None:
    call, expected = calls(GSSM.from_config(two_nodes(), seed=0))[number]
    with pytest.raises(LrrayError) as caught:
        call()
    assert str(caught.value) == expected


def test_a_context_graph_has_no_exact_likelihood() -> None:
    with pytest.raises(LrrayError) as caught:
        build("context token").nll([[0, 1]])
    assert str(caught.value) == (
        "node X: a context graph has no closed-form likelihood "
        "(fix: call nll_monte_carlo, which estimates it with a standard error)"
    )


def test_a_joint_state_too_large_for_memory_is_refused_before_anything_is_built() -> None:
    names = [f"Z{i}" for i in range(30)]
    gssm = GSSM.from_config({"nodes": [*(node(z, 2) for z in names), token(4, "Z1")]}, seed=0)
    assert gssm.sample(2, 9).shape == (2, 9)
    with pytest.raises(LrrayError) as caught:
        gssm.nll([[0, 1]], num_threads=1)
    assert str(caught.value) == (
        "graph: the exact likelihood must fit in 3.5 GB, but got '206.2 GB for 1073741824 joint "
        "states, 4 tokens, 1 threads' (fix: use fewer or smaller latents, or fewer threads)"
    )


def test_many_threads_do_not_make_a_usual_graph_too_large() -> None:
    for gssm in (independent_latents(1, 256, tokens=32), independent_latents(8, 4, tokens=64)):
        check_workspace(gssm.graph, num_threads=128)


ODD = st.none() | st.booleans() | st.integers(-2, 6) | st.floats() | st.text("XZ1", max_size=2)
VALUE = ODD | st.lists(ODD, max_size=3) | st.sampled_from(["X", "slow", "fullrank", 10**9, 0.1])
KEYS = ["name", "state_dim", "alpha", "parents", "mode", "kernel_type", "observed", "other"]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_mutated_graph_loads_and_samples_or_is_refused_with_a_message(
    data: st.DataObject,
) -> None:
    config: Any = {"nodes": copy.deepcopy(data.draw(st.sampled_from(list(KINDS.values()))))}
    for _ in range(data.draw(st.integers(1, 3))):
        victim = data.draw(st.sampled_from(config["nodes"]))
        key, value = data.draw(st.sampled_from(KEYS)), data.draw(VALUE)
        victim[key] = value
        if data.draw(st.booleans()):
            victim.pop(key)
    config = data.draw(st.just(config) | VALUE)
    try:
        gssm = GSSM.from_config(config, seed=0)
    except LrrayError:
        return
    assert np.isfinite(sum(table.sum() for table in gssm.tables.values()))
    assert gssm.sample(1, 3).max() < gssm.vocab_size
