"""One cell in this process: calls its kind's function, once or for each of several seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrray.execution.gauges import forget_points, show_point
from lrray.execution.own_copy import import_copy
from lrray.execution.stopping import never
from lrray.files import write_whole
from lrray.results.folder import RunFolder
from lrray.results.plain import plain_point, plain_result
from lrray.statistics import summarize
from lrray.studies.cell import Cell
from lrray.studies.kind import CellContext, load_kind

if TYPE_CHECKING:  # torch loads where models are trained
    from lrray.training.packing import Pack

_RESULT = "result.json"


def call(
    cell: Cell,
    folder: RunFolder,
    study: str,
    silent: bool = False,
    tell: Callable[[Any], None] | None = None,
    should_stop: Callable[[], bool] = never,
    commit: Callable[[], None] = lambda: None,
    pack: Pack | None = None,
) -> dict[str, Any]:
    """Calls the kind's function; over a list of seeds it averages.

    Each seed of a list has a checkpoint folder of its own, where its result is kept once it has
    ended. The cell's curves, which a scheduler judges, are those of the first.

    Args:
        cell: what to run.
        folder: where its curves and checkpoints go.
        study: name of the run, for metrics.
        silent: log nothing: this is not the first rank.
        tell: hears every logged point as well.
        should_stop: whether the cell is to end early.
        commit: hears that the cell's checkpoint folder is whole.
        pack: the cells that it is computed together with.

    Raises:
        Stopped: it did, and left a checkpoint.
    """

    def log(given: Mapping[str, float]) -> None:
        if not silent:
            point = plain_point(given)
            folder.append_metrics(cell.id, point)
            show_point(study, cell.id, point)
            if tell is not None:
                tell(dict(point))

    import_copy(cell, folder)
    context = CellContext(
        checkpoint=folder.path / "checkpoints" / cell.id,
        shared=folder.path / "shared",
        data=folder.path.parent / "data",
        log=log,
        should_stop=should_stop,
        commit=commit,
        pack=pack,
        code=cell.code,
    )
    seeds = cell.settings.get("seed")
    try:
        if not isinstance(seeds, list):
            return dict(load_kind(cell.kind).run_cell(cell.settings, context))
        # Read before any is run, so that a cell's workers agree on what there is.
        ended = {seed: _read_result(_of_seed(context, seed, False)) for seed in seeds}
        results = []
        for seed in seeds:
            own = _of_seed(context, seed, seed == seeds[0])
            results.append(ended[seed] or _run_seed(cell, seed, own, keep=not silent))
        return _averaged(results)
    finally:
        forget_points(study, cell.id)


def _run_seed(cell: Cell, seed: int, context: CellContext, keep: bool) -> dict[str, float]:
    """The numbers that one seed of a cell gives, kept for a worker that goes on after this one."""
    result = plain_result(load_kind(cell.kind).run_cell({**cell.settings, "seed": seed}, context))
    # A standard error may be undefined, and is so for this seed alone.
    known = {k: math.nan if v is None and k.endswith("_se") else v for k, v in result.items()}
    numbers = {name: value for name, value in known.items() if isinstance(value, int | float)}
    if keep:
        write_whole(context.checkpoint / _RESULT, json.dumps(numbers))
        context.commit()
    return numbers


def _read_result(context: CellContext) -> dict[str, float] | None:
    """What a seed that ended has left in its checkpoint folder."""
    try:
        return dict(json.loads((context.checkpoint / _RESULT).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _of_seed(context: CellContext, seed: int, first: bool) -> CellContext:
    log = context.log if first else lambda point: None
    return replace(context, checkpoint=context.checkpoint / f"seed_{seed}", log=log)


def _averaged(results: list[dict[str, float]]) -> dict[str, Any]:
    """Means, standard errors and single values of every number."""
    merged: dict[str, Any] = {"num_seeds": len(results), "per_seed": {}}
    for name in dict.fromkeys(name for result in results for name in result):
        values = [result.get(name) for result in results]
        # A number may be defined for some seeds alone, as the share of an information of 0 bits.
        statistics = summarize([value for value in values if value is not None])
        merged[name], merged[f"{name}_se"] = statistics.mean, statistics.standard_error
        merged["per_seed"][name] = values
    return merged
