"""Matched pairs as a difficulty study writes them (``pairs.yaml``), and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrray.config import Problem
from lrray.errors import did_you_mean
from lrray.gssm import GraphConfig


class MatchedPair(BaseModel):
    """One end of a matched pair; further keys are for readers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    alpha_X: Annotated[float, Field(gt=0)]
    alpha_Z: Annotated[float, Field(gt=0)]
    seed: int | None = None
    """The kernel draw that it was matched for; None: it matches the mean over draws."""
    graph: GraphConfig | None = None
    """Its graph, where those of a file differ in it; None: the file's."""


class FoundPair(MatchedPair):
    """A pair as a difficulty study measured it; one row of ``pairs.yaml`` and ``summary.json``."""

    axes: dict[str, Any]
    """Those of its grid point."""
    difficulty: float
    """Of the metric that was matched."""
    difficulty_se: float | None
    """None for a single kernel draw, here and below."""
    measured: dict[str, tuple[float, float | None]]
    """Every metric's mean over kernel draws and its standard error."""
    num_seeds: int
    within_tolerance: bool
    search: str
    """Name of the search that its contour came from."""
    target: dict[str, Any]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> FoundPair:
        """Reads a row: axes stand before the name, metrics beside their errors."""
        axes = dict(takewhile(lambda item: item[0] != "name", row.items()))
        metrics = [name for name in row if f"{name}_se" in row and name != "difficulty"]
        measured = {name: (row[name], row[f"{name}_se"]) for name in metrics}
        return cls.model_validate({**row, "axes": axes, "measured": measured})

    def to_row(self) -> dict[str, Any]:
        """Writes the row; its graph only where there is one of its own."""
        row: dict[str, Any] = {
            **self.axes, "name": self.name, "alpha_X": self.alpha_X, "alpha_Z": self.alpha_Z,
            "seed": self.seed, "difficulty": self.difficulty, "difficulty_se": self.difficulty_se,
        }  # fmt: skip
        for name, (mean, error) in self.measured.items():
            row |= {name: mean, f"{name}_se": error}
        row |= {"num_seeds": self.num_seeds, "within_tolerance": self.within_tolerance}
        row |= {"search": self.search, "target": self.target}
        return row if self.graph is None else {**row, "graph": self.graph.to_dict()}


class Pairs(BaseModel):
    """A ``pairs.yaml``; further keys are for readers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    graph: GraphConfig | None = None
    """The graph of all pairs that name none of their own."""
    pairs: Annotated[tuple[MatchedPair, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _have_graphs(self) -> Pairs:
        for i, pair in enumerate(self.pairs):
            if pair.graph is None and self.graph is None:
                raise Problem("needs a graph", at=f"pairs[{i}]", fix="give the file's graph:")
        return self

    def graph_of(self, pair: MatchedPair) -> GraphConfig:
        """A pair's graph; its alphas are not set."""
        graph = pair.graph or self.graph
        assert graph is not None  # checked when the file was read
        return graph

    def choose(self, name: str, draw: int, graph: GraphConfig | None = None) -> MatchedPair:
        """The pair with a name; of several, the one matched for a kernel draw.

        Args:
            name: of the pair.
            draw: the kernel draw of the cell that asks.
            graph: that the pair must be of, alphas aside; None: any.

        Raises:
            Problem: there is none, or there are several.
        """
        found = [pair for pair in self.pairs if pair.name == name]
        if not found:
            fix = did_you_mean(name, dict.fromkeys(pair.name for pair in self.pairs))
            raise Problem("must name a pair of the pairs file", at="pair", got=name, fix=fix)
        found = [pair for pair in found if graph is None or _alike(graph, self.graph_of(pair))]
        if not found:
            raise Problem(
                "must be the graph of the pairs file, alphas aside", at="graph",
                fix="search pairs for this graph, or give the other one's",
            )  # fmt: skip
        return found[0] if len(found) == 1 else self._of_draw(found, draw)

    def _of_draw(self, found: list[MatchedPair], draw: int) -> MatchedPair:
        own = [pair for pair in found if pair.seed in (None, draw)]
        if not own:
            seeds = ", ".join(sorted({str(pair.seed) for pair in found}))
            raise Problem(
                "must be a kernel draw that the pairs file has a pair for", at="seed", got=draw,
                fix=f"one of {seeds}",
            )  # fmt: skip
        if len(own) > 1:
            graphs = {self.graph_of(pair) for pair in own}
            choose = "say whose by graph:" if len(graphs) == len(own) else "keep one of them there"
            raise Problem(
                f"must name one pair, but {len(own)} of the pairs file have this name and draw",
                at="pair", got=own[0].name, fix=choose,
            )  # fmt: skip
        return own[0]


def _alike(one: GraphConfig, other: GraphConfig) -> bool:
    return one.with_alphas(1, 1) == other.with_alphas(1, 1)
