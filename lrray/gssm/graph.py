"""The graph of a GSSM: which nodes there are, how they depend on each other, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, model_validator

from lrray.config import Problem, Settings, parse
from lrray.errors import did_you_mean

Mode = Literal["default", "slow", "dead", "context"]
KernelType = Literal["product", "fullrank"]


class NodeConfig(Settings):
    """One discrete variable of the graph."""

    name: Annotated[str, Field(min_length=1)]
    """Unique name, conventionally ``X`` for the observed node and ``Z1``, ``Z2``, … otherwise."""
    state_dim: Annotated[int, Field(ge=2, le=65536)]
    """Number of states; of the observed node: the vocabulary size."""
    alpha: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    """Dirichlet concentration of every kernel row; left open where a study searches for it."""
    parents: tuple[str, ...] = ()
    """Nodes whose states this node's next state depends on, in kernel order."""
    mode: Mode = "default"
    """``slow``: mostly stays; ``dead``: mostly state 0; ``context``: new kernels per sequence."""
    kernel_type: KernelType = "product"
    """``product``: one matrix per input; ``fullrank``: one matrix over all inputs jointly."""
    observed: StrictBool = False
    """Whether this node emits the tokens; exactly one node does."""


class GraphConfig(Settings):
    """A GSSM's nodes; checked to be one observed node and an acyclic graph beside the feedback.

    A *feedback* edge leads from the observed node to a latent one, which then sees the previous
    token. Raises (through :func:`lrray.config.parse`) where a rule is broken.
    """

    nodes: tuple[NodeConfig, ...]

    @model_validator(mode="after")
    def _check(self) -> GraphConfig:
        names = [node.name for node in self.nodes]
        for i, node in enumerate(self.nodes):
            if node.name in names[:i]:
                raise Problem(
                    "node names must be unique",
                    at=f"nodes[{i}].name",
                    got=node.name,
                    fix="rename one of them",
                )
        observed = [node.name for node in self.nodes if node.observed]
        if len(observed) != 1:
            raise Problem(
                "exactly one node must be observed",
                at="nodes",
                got=observed,
                fix="write 'observed: true' on the node that emits the tokens",
            )
        for i, node in enumerate(self.nodes):
            self._check_node(node, f"nodes[{i}]", set(names))
        self._check_acyclic()
        return self

    def _check_node(self, node: NodeConfig, at: str, names: set[str]) -> None:
        for j, parent in enumerate(node.parents):
            where = f"{at}.parents[{j}]"
            if parent not in names:
                raise Problem(
                    "a parent must be a node of the graph",
                    at=where,
                    got=parent,
                    fix=did_you_mean(parent, names),
                )
            if parent == node.name:
                raise Problem(
                    "a node cannot be its own parent (a latent node always sees its own past)",
                    at=where,
                    got=parent,
                    fix="leave it out",
                )
            if parent in node.parents[:j]:
                raise Problem("parents must be distinct", at=where, got=parent, fix="name it once")
        if node.observed and not node.parents:
            raise Problem(
                "the observed node needs at least one parent",
                at=f"{at}.parents",
                got=[],
                fix="name the latent nodes that the token depends on",
            )
        if node.mode in ("slow", "dead") and node.observed:
            raise Problem(
                "slow and dead nodes must be latent",
                at=f"{at}.mode",
                got=node.mode,
                fix="use mode default or context on the observed node",
            )
        if node.mode == "slow" and node.parents:
            raise Problem(
                "a slow node must have no parents",
                at=f"{at}.parents",
                got=list(node.parents),
                fix="remove the parents or choose another mode",
            )

    def _check_acyclic(self) -> None:
        waiting = topological_names(self.nodes, self.observed.name)[1]
        if waiting:
            raise Problem(
                "the graph without feedback edges must be acyclic",
                at="nodes",
                got=waiting,
                fix="break the cycle among these nodes",
            )

    @cached_property
    def observed(self) -> NodeConfig:
        """The node that emits the tokens."""
        return next(node for node in self.nodes if node.observed)

    @cached_property
    def latents(self) -> tuple[NodeConfig, ...]:
        """Latent nodes in topological order: a node stands after its latent parents."""
        by_name = {node.name: node for node in self.nodes}
        order = topological_names(self.nodes, self.observed.name)[0]
        return tuple(by_name[name] for name in order)

    @property
    def num_joint_states(self) -> int:
        """Number S of joint latent states."""
        product = 1
        for node in self.latents:
            product *= node.state_dim
        return product

    def node(self, name: str) -> NodeConfig:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def inputs(self, node: NodeConfig) -> tuple[str, ...]:
        """Names of a node's kernel inputs in order: its own past (latent nodes), then parents."""
        return node.parents if node.observed else (node.name, *node.parents)

    def input_dims(self, node: NodeConfig) -> tuple[int, ...]:
        """Number of states of each kernel input."""
        return tuple(self.node(name).state_dim for name in self.inputs(node))

    def with_alphas(self, alpha_X: float, alpha_Z: float) -> GraphConfig:
        """The same graph with ``alpha_X`` on the observed node and ``alpha_Z`` on every latent.

        Raises:
            LrrayError: an alpha is out of range.
        """
        nodes = [
            {**node.model_dump(), "alpha": alpha_X if node.observed else alpha_Z}
            for node in self.nodes
        ]
        return parse(GraphConfig, {"nodes": nodes}, "graph")

    def with_missing_alphas(self, alpha_X: float, alpha_Z: float) -> GraphConfig:
        """The same graph with ``alpha_X`` and ``alpha_Z`` on the nodes that have no alpha yet.

        Raises:
            Problem: an alpha would set nothing, and the graph gives another one everywhere.
            LrrayError: an alpha is out of range.
        """
        nodes = []
        for name, alpha, own in (
            ("alpha_X", alpha_X, (self.observed,)), ("alpha_Z", alpha_Z, self.latents),
        ):  # fmt: skip
            given = {node.name: node.alpha for node in own if node.alpha is not None}
            if len(given) == len(own) and set(given.values()) != {alpha}:
                raise Problem(
                    f"the graph gives every alpha that {name} would set, other than the {alpha:g}",
                    got=given, fix="leave alpha out of the graph's nodes, or give the same",
                )  # fmt: skip
            nodes += [{**node.model_dump(), "alpha": given.get(node.name, alpha)} for node in own]
        by_name = {node["name"]: node for node in nodes}
        ordered = [by_name[node.name] for node in self.nodes]
        return parse(GraphConfig, {"nodes": ordered}, "graph")

    def to_dict(self) -> dict[str, Any]:
        """Plain data that :func:`lrray.config.parse` reads back equal."""
        return self.model_dump(mode="json", exclude_defaults=True)


def topological_names(nodes: Iterable[NodeConfig], observed: str) -> tuple[list[str], list[str]]:
    """Orders latent nodes after their latent parents, feedback edges aside.

    Returns:
        The ordered names, and the names left over because they lie on or behind a cycle.
    """
    waiting = {n.name: [p for p in n.parents if p != observed] for n in nodes if n.name != observed}
    done: list[str] = []
    while ready := [name for name, parents in waiting.items() if all(p in done for p in parents)]:
        done.append(ready[0])
        del waiting[ready[0]]
    return done, list(waiting)
