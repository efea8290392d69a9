"""A graph with drawn kernels, and its tables laid out for sampling and for the likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.gssm.checks import checked_integer, smallest_dtype
from lrray.gssm.context import Plans
from lrray.gssm.graph import GraphConfig
from lrray.gssm.kernels import (
    OF_ESTIMATE,
    Kernels,
    Tables,
    conditional_table,
    context_nodes,
    draw_kernels,
    redraw_context,
)
from lrray.gssm.likelihood import ForwardPlan
from lrray.gssm.sampling import Sampler

Precision = Literal["float64", "float32"]


class DrawnGraph:
    """A graph, its kernels, and what is laid out from them once for all calls.

    Args:
        graph: the checked graph, every node with an alpha.
        seed: of the kernels (see :func:`lrray.gssm.kernels.draw_kernels`).
    """

    def __init__(self, graph: GraphConfig, seed: int) -> None:
        self.graph = graph
        self.seed = checked_integer(seed, "seed")
        self.kernels: Kernels = draw_kernels(graph, self.seed)
        self._forward_plans: dict[str, ForwardPlan] = {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | GraphConfig, seed: int) -> Self:
        """Builds one from ``{"nodes": [...]}``.

        Raises:
            LrrayError: a rule of the graph is broken; the message names the key path.
        """
        graph = config if isinstance(config, GraphConfig) else parse(GraphConfig, config, "graph")
        return cls(graph, seed)

    @property
    def vocab_size(self) -> int:
        """Number of distinct tokens."""
        return self.graph.observed.state_dim

    @property
    def token_dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Smallest integer type that holds a token."""
        return smallest_dtype(self.vocab_size)

    @property
    def has_likelihood(self) -> bool:
        """Whether the likelihood has a closed form: not for a ``context`` graph."""
        return not context_nodes(self.graph)

    def identity(self) -> dict[str, Any]:
        """Plain data that determine the source of sequences."""
        return {"graph": self.graph.to_dict(), "graph_seed": self.seed}

    @cached_property
    def tables(self) -> Tables:
        """p(new state | inputs) of every node as ``[inputs, states]``, rows summing to one."""
        return {
            node.name: conditional_table(self.graph, node, self.kernels[node.name])
            for node in self.graph.nodes
        }

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.graph, self.seed, self.tables)

    def forward_plan(self, dtype: Precision) -> ForwardPlan:
        """The tables laid out for the forward recursion, in that precision."""
        if dtype not in self._forward_plans:
            if dtype not in ("float64", "float32"):
                raise LrrayError("dtype", "must be 'float64' or 'float32'", got=dtype)
            plan = ForwardPlan.of(self.graph, self.tables, getattr(np, dtype))
            self._forward_plans[dtype] = plan
        return self._forward_plans[dtype]

    def _redrawn_plans(self, seed: int) -> Plans:
        checked = checked_integer(seed, "seed")

        def plan(draw: int) -> ForwardPlan:
            redrawn = redraw_context(self.graph, self.seed, OF_ESTIMATE, checked, draw)
            return ForwardPlan.of(self.graph, {**self.tables, **redrawn}, np.float64)

        return plan

    def _require_fixed_kernels(self, estimate: str = "") -> None:
        """Refuses a ``context`` graph; ``estimate`` is the method that estimates instead."""
        for name in context_nodes(self.graph):
            raise LrrayError(
                f"node {name}", "a context graph has no closed-form likelihood",
                fix=f"call {estimate}, which estimates it with a standard error"
                if estimate else "use a graph without context nodes",
            )  # fmt: skip
