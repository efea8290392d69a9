"""Kernels against the seeding rule, written out on its own, and against their modes' definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lrray.gssm import GSSM
from tests.gssm.graphs import CONTEXT_KINDS, KINDS, build, node, token

EVERY_KIND = KINDS | CONTEXT_KINDS
WITHOUT_SWAPS = [kind for kind in EVERY_KIND if not kind.startswith(("slow", "dead"))]


def drawn_by_the_rule(nodes: list[dict[str, Any]], seed: int) -> dict[str, list[NDArray[Any]]]:
    """The rule of earlier work for graphs without modes: one generator, a queue, Dirichlet rows."""
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    states = {node["name"]: node["state_dim"] for node in nodes}
    drawn: dict[str, list[NDArray[Any]]] = {}
    queue = list(nodes)
    while queue:
        node = queue.pop(0)
        if not all(parent in drawn for parent in node["parents"] if parent != "X"):
            queue.append(node)
            continue
        dims = [states[parent] for parent in node["parents"]]
        if not node.get("observed"):
            dims = [node["state_dim"], *dims]
        rows = [int(np.prod(dims))] if node.get("kernel_type") == "fullrank" else dims
        alphas = np.full(node["state_dim"], node["alpha"])
        drawn[node["name"]] = [np.clip(rng.dirichlet(alphas, size=r), 1e-10, None) for r in rows]
    return drawn


@pytest.mark.parametrize("seed", [0, 42, 2**63])
@pytest.mark.parametrize("kind", WITHOUT_SWAPS)
def test_kernels_equal_the_seeding_rule_number_for_number(kind: str, seed: int) -> None:
    kernels = build(kind, seed).kernels
    expected = drawn_by_the_rule(EVERY_KIND[kind], seed)
    assert kernels.keys() == expected.keys()
    for name, matrices in expected.items():
        assert len(kernels[name]) == len(matrices)
        for ours, theirs in zip(kernels[name], matrices, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_node_whose_latent_parents_are_not_drawn_yet_waits_at_the_back_of_the_queue() -> None:
    # Visited: X (waits), Z3 (waits), Z1, Z2, X, Z3.
    nodes = [token(3, "Z1"), node("Z3", 2, "Z2"), node("Z1", 2, "X"), node("Z2", 2)]
    rng = np.random.default_rng(np.random.SeedSequence(5).spawn(1)[0])
    half = np.full(2, 0.5)
    Z1 = [rng.dirichlet(half, size=2), rng.dirichlet(half, size=3)]
    Z2 = [rng.dirichlet(half, size=2)]
    X = [rng.dirichlet(np.full(3, 0.5), size=2)]
    Z3 = [rng.dirichlet(half, size=2), rng.dirichlet(half, size=2)]
    kernels = GSSM.from_config({"nodes": nodes}, seed=5).kernels
    for name, matrices in {"Z1": Z1, "Z2": Z2, "X": X, "Z3": Z3}.items():
        for ours, theirs in zip(kernels[name], matrices, strict=True):
            np.testing.assert_array_equal(ours, np.maximum(theirs, 1e-10))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_kernel_shapes_follow_the_inputs(kind: str) -> None:
    gssm = build(kind)
    for each in gssm.graph.nodes:
        dims = gssm.graph.input_dims(each)
        rows = [int(np.prod(dims))] if each.kernel_type == "fullrank" else list(dims)
        shapes = [matrix.shape for matrix in gssm.kernels[each.name]]
        assert shapes == [(r, each.state_dim) for r in rows]


@pytest.mark.parametrize("mode", ["slow", "dead"])
@pytest.mark.parametrize("kernel_type", ["product", "fullrank"])
def test_a_mode_swaps_two_entries_of_each_row_and_keeps_its_values(
    mode: str, kernel_type: str
) -> None:
    parents = [] if mode == "slow" else ["X"]
    plain = node("Z1", 5, *parents, kernel_type=kernel_type)
    before, after = (
        GSSM.from_config({"nodes": [latent, token(3, "Z1")]}, seed=1).kernels
        for latent in (plain, plain | {"mode": mode})
    )
    for old, new in zip(before["Z1"], after["Z1"], strict=True):
        favoured = np.arange(len(new)) if mode == "slow" else np.zeros(len(new), int)
        np.testing.assert_array_equal(new.argmax(axis=1), favoured)
        np.testing.assert_array_equal(np.sort(new), np.sort(old))
        assert set((new != old).sum(axis=1)) <= {0, 2}
    for old, new in zip(before["X"], after["X"], strict=True):
        np.testing.assert_array_equal(new, old)


def test_kernels_are_clipped_below() -> None:
    gssm = GSSM.from_config({"nodes": [node("Z1", 6, alpha=1e-6), token(6, "Z1", alpha=1e-6)]}, 0)
    for matrices in gssm.kernels.values():
        assert matrices[0].min() == 1e-10


@pytest.mark.parametrize("alpha", [1e-300, 1e-10, 1e-3, 1, 1e6])
def test_tables_are_distributions_at_any_alpha(alpha: float) -> None:
    nodes = [node("Z1", 4, "X", alpha=alpha), token(5, "Z1", alpha=alpha)]
    for table in GSSM.from_config({"nodes": nodes}, seed=0).tables.values():
        assert (table > 0).all()
        np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-12)


def test_a_product_table_is_the_normalised_product_of_its_matrices() -> None:
    gssm = build("diamond")
    M1, M2 = gssm.kernels["X"]
    table = gssm.tables["X"].reshape(2, 2, 3)
    for i in range(2):
        for j in range(2):
            row = M1[i] * M2[j]
            np.testing.assert_allclose(table[i, j], row / row.sum(), rtol=1e-14)


def test_a_fullrank_table_ravels_its_inputs_in_c_order() -> None:
    gssm = build("feedback between the parents")
    dims = gssm.graph.input_dims(gssm.graph.node("Z3"))
    assert dims == (2, 3, 3, 2)  # own past, Z2, previous token, Z1
    row = ((1 * 3 + 2) * 3 + 0) * 2 + 1
    matrix = gssm.kernels["Z3"][0]
    table = gssm.tables["Z3"].reshape(*dims, 2)
    np.testing.assert_allclose(table[1, 2, 0, 1], matrix[row] / matrix[row].sum(), rtol=1e-14)
