"""The cell of a difficulty study: one graph with its alphas, measured over some kernel draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lrray.config import parse
from lrray.difficulty.estimate import SampleSize, estimate
from lrray.gssm import GraphConfig
from lrray.studies.identity import Cell, code_version
from lrray.studies.kinds import CellContext

CODE = ("lrray.gssm", "lrray.difficulty.compressors", "lrray.difficulty.estimate")
"""What a cell's result depends on."""


def make_cell(
    graph: GraphConfig,
    alphas: Sequence[float],
    seeds: Sequence[int],
    size: SampleSize,
    point: Mapping[str, Any] | None = None,
) -> Cell:
    """The cell that measures ``graph`` at (alpha_X, alpha_Z) on kernel draws ``seeds``.

    ``point`` holds the axes of the grid point that asked for it.
    """
    alpha_X, alpha_Z = float(alphas[0]), float(alphas[1])
    return Cell(
        kind="difficulty",
        settings={
            "graph": graph.with_alphas(alpha_X, alpha_Z).to_dict(),
            "seeds": list(seeds),
            "size": {**asdict(size), "compressors": list(size.compressors)},
        },
        axes={**(point or {}), "alpha_X": alpha_X, "alpha_Z": alpha_Z, "seeds": list(seeds)},
        code=code_version(*CODE),
    )


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Measures one cell; the result is :meth:`lrray.difficulty.estimate.Estimate.to_dict`."""
    graph = parse(GraphConfig, settings["graph"], "graph")
    size = SampleSize(**{**settings["size"], "compressors": tuple(settings["size"]["compressors"])})
    return estimate(graph, settings["seeds"], size).to_dict()
