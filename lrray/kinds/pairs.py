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
    for_seed: int | None = None
    """The seed of the cell that trains on this draw, as ``match: per_draw`` numbers them; None: the
    draw's own number."""
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
    """Kernel draws behind the metric that was matched, and the others but for ``counts``."""
    counts: dict[str, int] = {}
    """Kernel draws behind metrics that fewer were measured for, as ``<metric>_seeds`` in a row."""
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
        counts = {name: row[f"{name}_seeds"] for name in metrics if f"{name}_seeds" in row}
        filled = {**row, "axes": axes, "measured": measured, "counts": counts}
        return cls.model_validate(filled)

    def num_seeds_of(self, metric: str) -> int:
        """Kernel draws behind a metric."""
        return self.counts.get(metric, self.num_seeds)

    def to_row(self) -> dict[str, Any]:
        """Writes the row; its graph only where there is one of its own."""
        row: dict[str, Any] = {
            **self.axes, "name": self.name, "alpha_X": self.alpha_X, "alpha_Z": self.alpha_Z,
            "seed": self.seed, **({} if self.for_seed is None else {"for_seed": self.for_seed}),
            "difficulty": self.difficulty, "difficulty_se": self.difficulty_se,
        }  # fmt: skip
        for name, (mean, error) in self.measured.items():
            row |= {name: mean, f"{name}_se": error}
            row |= {f"{name}_seeds": self.counts[name]} if name in self.counts else {}
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

    def graph_with_alphas(self, pair: MatchedPair) -> GraphConfig:
        """A pair's graph with its alphas where the graph gives none.

        Raises:
            Problem: the graph gives all of them, and others.
        """
        try:
            return self.graph_of(pair).with_missing_alphas(pair.alpha_X, pair.alpha_Z)
        except Problem as problem:
            raise Problem(
                f"{problem.rule} of pair {pair.name}", at="pairs", got=problem.got, fix=problem.fix
            ) from None

    def choose(
        self,
        name: str,
        seed: int,
        graph_seed: int | None = None,
        graph: GraphConfig | None = None,
    ) -> MatchedPair:
        """The pair with a name; of several, the one matched for the cell's kernel draw.

        Args:
            name: of the pair.
            seed: of the cell that asks; the kernel draw, unless the pairs give it another one.
            graph_seed: the kernel draw, where the study names it.
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
        if len(found) == 1 and found[0].for_seed is None:
            return found[0]
        return self._of_draw(found, seed, graph_seed)

    def _of_draw(self, found: list[MatchedPair], seed: int, graph_seed: int | None) -> MatchedPair:
        own = [pair for pair in found if _fits(pair, seed, graph_seed)]
        if not own:
            by_draw = graph_seed is not None or found[0].for_seed is None
            numbers = [pair.seed if by_draw else pair.for_seed for pair in found]
            known = sorted({number for number in numbers if number is not None})
            raise Problem(
                "must be a kernel draw that the pairs file has a pair for" if by_draw
                else "must be a seed that the pairs file has a kernel draw for",
                at="seed" if graph_seed is None else "graph_seed",
                got=seed if graph_seed is None else graph_seed,
                fix=f"one of {', '.join(map(str, known))}",
            )  # fmt: skip
        if len(own) > 1:
            graphs = {self.graph_of(pair) for pair in own}
            choose = "say whose by graph:" if len(graphs) == len(own) else "keep one of them there"
            raise Problem(
                f"must name one pair, but {len(own)} of the pairs file have this name and draw",
                at="pair", got=own[0].name, fix=choose,
            )  # fmt: skip
        return own[0]


def _fits(pair: MatchedPair, seed: int, graph_seed: int | None) -> bool:
    """Whether a pair is for a cell's kernel draw."""
    if pair.for_seed is not None and graph_seed is None:
        return pair.for_seed == seed
    return pair.seed in (None, seed if graph_seed is None else graph_seed)


def _alike(one: GraphConfig, other: GraphConfig) -> bool:
    return one.with_alphas(1, 1) == other.with_alphas(1, 1)
