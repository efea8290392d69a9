"""The best value of a setting in an ended run, for each condition."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrray.errors import LrrayError, did_you_mean
from lrray.results.find import find_run
from lrray.results.record import DONE, CellRecord
from lrray.results.run import Run
from lrray.results.tables import SEED
from lrray.studies.axes import axis_name
from lrray.studies.tuned import BestOf, BestValue, Tuned


def best_values(asked: BestOf, key: str, where: str) -> Tuned:
    """The value of a setting with the best mean over seeds, in each condition of a run.

    All axes but those of the conditions and the seed are chosen together: of a run over learning
    rates and weight decays, two settings that refer to it get the best combination. A combination
    of which a cell failed or was stopped early is not chosen.

    Args:
        asked: which run, which conditions, judged by what.
        key: path of the setting.
        where: opens error lines.

    Raises:
        LrrayError: there is no such run, it has not ended, or it does not hold what is asked for.
    """
    run = _ended_run(asked.best_of, where)
    records = list(run.wanted_records())
    axes = list(dict.fromkeys(name for record in records for name in record.axes))
    own = _axis(axes, key, f"{where}.best_of", f"an axis of {run.name}")
    by = tuple(_axis(axes, name, f"{where}.by", f"axes of {run.name}") for name in asked.by)
    metric, mode = _judged(asked, run, records, where)
    values = []
    for condition, members in _split(records, by):
        if best := _best(members, own, by, metric, -1 if mode == "max" else 1):
            values.append(BestValue(condition, *best))
    if not values:
        raise LrrayError(
            f"{where}.best_of", f"{run.name} has no value of which every cell was done",
            fix="look at its failures, or name another run",
        )  # fmt: skip
    resolved = BestOf(best_of=_shown(run.path), by=by, metric=metric, mode=mode)
    return Tuned(key, resolved, values)


def _ended_run(reference: str, where: str) -> Run:
    try:
        run = find_run(reference)
    except LrrayError as error:
        fix = f"run that study first; {error.fix}"
        raise LrrayError(f"{where}.best_of", error.rule, got=reference, fix=fix) from None
    if run.state != "finished":
        raise LrrayError(
            f"{where}.best_of", f"must be a run that has ended, but {run.name} is {run.state}",
            fix=f"wait for it, or finish it: lrray study {run.path.parent.name} --resume",
        )  # fmt: skip
    return run


def _axis(axes: Sequence[str], name: str, where: str, what: str) -> str:
    """The full name of an axis given in full or by its last word."""
    last = axis_name(name)
    found = [axis for axis in axes if axis == name] or [a for a in axes if axis_name(a) == last]
    if len(found) != 1:
        fix = did_you_mean(name, found or axes)
        raise LrrayError(where, f"must name {what}", got=name, fix=fix)
    return found[0]


def _judged(asked: BestOf, run: Run, records: Sequence[CellRecord], where: str) -> tuple[str, Any]:
    """The number that decides, and whether it is to be small (``min``) or large."""
    search = run.settings.get("search") or {}
    metric = asked.metric or search.get("metric")
    numbers = dict.fromkeys(
        name
        for record in records
        for name, value in record.result.items()
        if isinstance(value, int | float)
    )
    if metric is None:
        raise LrrayError(
            f"{where}.metric", f"must be given: {run.name} searched nothing by a metric",
            fix=f"metric: {next(iter(numbers), '…')}",
        )  # fmt: skip
    if metric not in numbers:
        fix = did_you_mean(str(metric), numbers)
        raise LrrayError(
            f"{where}.metric", f"must be a number that cells of {run.name} gave", got=metric,
            fix=fix,
        )  # fmt: skip
    of_search = search.get("mode") if metric == search.get("metric") else None
    return str(metric), asked.mode or of_search or "min"


def _split(
    records: Sequence[CellRecord], axes: Sequence[str]
) -> list[tuple[dict[str, Any], list[CellRecord]]]:
    """Records by their values of some axes, in the order of these as text."""
    found: dict[str, list[CellRecord]] = defaultdict(list)
    for record in records:
        values = {name: record.axes.get(name) for name in axes}
        found[json.dumps(values, sort_keys=True, default=str)].append(record)
    return [
        ({name: own[0].axes.get(name) for name in axes}, own) for _, own in sorted(found.items())
    ]


def _best(
    records: Sequence[CellRecord], key: str, by: Sequence[str], metric: str, sign: int
) -> tuple[Any, float, int] | None:
    """Value, mean and number of cells of the best combination; None where none is whole."""
    others = sorted({name for record in records for name in record.axes} - {*by, SEED})
    scored: list[tuple[float, tuple[Any, float, int]]] = []
    for combination, members in _split(records, others):
        scores = [_number(record.result, metric) for record in members if record.state == DONE]
        known = [score for score in scores if score is not None]
        if len(known) == len(members):
            mean = sum(known) / len(known)
            scored.append((sign * mean, (combination[key], mean, len(known))))
    return min(scored, key=lambda one: one[0])[1] if scored else None


def _number(result: Mapping[str, Any], name: str) -> float | None:
    value = result.get(name)
    return float(value) if isinstance(value, int | float) else None


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
