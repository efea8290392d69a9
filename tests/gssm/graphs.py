"""Graphs of every kind, small enough for full enumeration of their latent paths."""

from __future__ import annotations

from typing import Any

from lrray.gssm import GSSM


def node(name: str, states: int, *parents: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "state_dim": states, "alpha": 0.5, "parents": list(parents), **more}


def token(states: int, *parents: str, **more: Any) -> dict[str, Any]:
    return node("X", states, *parents, observed=True, **more)


KINDS: dict[str, list[dict[str, Any]]] = {
    "one latent": [node("Z1", 2), token(3, "Z1")],
    "three states": [node("Z1", 3), token(4, "Z1")],
    "feedback": [node("Z1", 3, "X"), token(4, "Z1")],
    "feedback, fullrank": [node("Z1", 3, "X", kernel_type="fullrank"), token(4, "Z1")],
    "independent latents": [node("Z1", 2), node("Z2", 3), token(4, "Z1", "Z2")],
    "all fullrank": [
        node("Z1", 2, "X", kernel_type="fullrank"),
        node("Z2", 2, "X", kernel_type="fullrank"),
        token(4, "Z1", "Z2", kernel_type="fullrank"),
    ],
    "chain": [node("Z1", 2), node("Z2", 2, "Z1"), node("Z3", 2, "Z2"), token(3, "Z3")],
    "diamond": [
        node("Z1", 2, "X"),
        node("Z2", 2, "Z1", kernel_type="fullrank"),
        node("Z3", 2, "Z1"),
        node("Z4", 2, "Z3", "Z2", kernel_type="fullrank"),
        token(3, "Z4", "Z1"),
    ],
    "feedback between the parents": [
        node("Z1", 2),
        node("Z2", 3),
        node("Z3", 2, "Z2", "X", "Z1", kernel_type="fullrank"),
        token(3, "Z3", "Z1", kernel_type="fullrank"),
    ],
    "some latents hidden from the token": [
        node("Z1", 3),
        node("Z2", 2, "Z1"),
        node("Z3", 2, "X"),
        token(4, "Z2"),
    ],
    "declared out of order": [
        token(3, "Z2", "Z1", kernel_type="fullrank"),
        node("Z2", 3, "Z1", "X", kernel_type="fullrank"),
        node("Z1", 2, "X"),
    ],
    "slow": [node("Z1", 3, mode="slow"), node("Z2", 2, "Z1"), token(4, "Z1", "Z2")],
    "dead": [node("Z1", 3, "X", mode="dead"), node("Z2", 2), token(4, "Z1", "Z2")],
    "dead, fullrank": [
        node("Z1", 3, "X", mode="dead", kernel_type="fullrank"),
        token(4, "Z1", kernel_type="fullrank"),
    ],
    "four states": [node("Z1", 4, "X"), token(4, "Z1")],
    "twelve states": [node("Z1", 12, "X", kernel_type="fullrank"), token(3, "Z1")],
    "sixteen states under two": [node("Z1", 2), node("Z2", 16, "Z1", "X"), token(4, "Z2", "Z1")],
    "sixteen states over two": [node("Z1", 16), node("Z2", 2, "Z1"), token(4, "Z2", "Z1")],
    "sixty-four states": [node("Z1", 64, "X", kernel_type="fullrank"), token(3, "Z1")],
}
"""Every mode but ``context``, both kernel types, every shape of graph and of contraction."""

CONTEXT_KINDS: dict[str, list[dict[str, Any]]] = {
    "context token": [node("Z1", 2), token(3, "Z1", mode="context")],
    "context latent with feedback": [
        node("Z1", 2, "X", mode="context", kernel_type="fullrank"),
        token(3, "Z1"),
    ],
    "context, all": [
        node("Z1", 2, mode="context"),
        node("Z2", 2, "Z1", mode="context", kernel_type="fullrank"),
        token(3, "Z1", "Z2", mode="context", kernel_type="fullrank"),
    ],
}
"""Each context node has one kernel, whose rows are independent: Dirichlet integrals are closed."""


def build(kind: str, seed: int = 3) -> GSSM:
    return GSSM.from_config({"nodes": (KINDS | CONTEXT_KINDS)[kind]}, seed=seed)


def independent_latents(latents: int, states: int, tokens: int, seed: int = 42) -> GSSM:
    """The published shape: fullrank latents that each see the previous token."""
    names = [f"Z{i + 1}" for i in range(latents)]
    nodes = [node(name, states, "X", kernel_type="fullrank") for name in names]
    return GSSM.from_config(
        {"nodes": [*nodes, token(tokens, *names, kernel_type="fullrank")]}, seed=seed
    )
