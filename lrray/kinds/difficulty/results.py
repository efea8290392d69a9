"""What a difficulty study found: the files it leaves, and its summary target by target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrray.config import dump_yaml
from lrray.kinds.difficulty.between import Difference
from lrray.kinds.difficulty.point import PointSearch, range_of, trial_table
from lrray.kinds.pairs import FoundPair
from lrray.results.folder import RunFolder
from lrray.statistics import summarize

UNITS = {"gzip": "bytes/token", "entropy_bits": "bits/token"}


def write(runs: Sequence[PointSearch], folder: RunFolder) -> dict[str, Any]:
    """Writes the results of all points; returns what the summary says of them."""
    table = trial_table([row for part in runs for row in part.rows()])
    folder.write_text("trials.csv", table.to_csv(index=False))
    head = {"study": folder.path.parent.name, "run": folder.path.name}
    # What the points of a grid differ in stands with each pair alone.
    target = _common("target", [part.study.target.model_dump(exclude_none=True) for part in runs])
    match = _common("match", [part.study.match for part in runs])
    graph = _common("graph", [part.study.graph.to_dict() for part in runs])
    found = [pair for part in runs for pair in part.found_pairs(with_graph=not graph)]
    pairs = [pair.to_row() for pair in found]
    folder.write_text("pairs.yaml", dump_yaml({**head, **graph, **target, **match, "pairs": pairs}))
    folder.write_json("contour.json", {k: v for part in runs for k, v in part.surfaces.items()})
    return {
        **target, **match,
        "points": [part.summary() for part in runs],
        "pairs": pairs,
        "reached": bool(pairs),
        "range": range_of(table),
        "trials": len(table),
    }  # fmt: skip


def _common(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """The value that all points share, under its name; nothing where they differ."""
    return {name: values[0]} if all(value == values[0] for value in values) else {}


@dataclass(frozen=True)
class Outcome:
    """What the grid points with one target found."""

    target: Mapping[str, Any]
    points: list[dict[str, Any]]
    pairs: list[FoundPair]

    @property
    def aim(self) -> str:
        """``gzip = 0.75``."""
        return f"{self.target['metric']} = {self.target['value']:g}"

    @property
    def fresh(self) -> str:
        """What pairs were measured again on."""
        words = {"per_seed": "sequences", "mean": "kernel draws", "per_draw": "sequences"}
        return " or ".join(dict.fromkeys(words[point["match"]] for point in self.points))

    @property
    def range(self) -> tuple[float, float] | None:
        """Lowest and highest difficulty met; None where no trial was measured."""
        ends = [end for point in self.points for end in point["range"]]
        known = [end for end in ends if end is not None and end == end]
        return (min(known), max(known)) if known else None

    @property
    def notes(self) -> list[str]:
        """Sentences on contours that are not one line from edge to edge with a pair."""
        notes = {name: note for p in self.points for name, note in p.get("notes", {}).items()}
        several = sum(len(point["searches"]) for point in self.points) > 1
        shapes = [f"The contour{f' of {n}' if several else ''} {how}." for n, how in notes.items()]
        return [*shapes, *(_accepted(point) for point in self.points if point.get("draws"))]

    @property
    def shown(self) -> list[FoundPair]:
        """The pairs; kernel draws that were accepted one by one together, by the pair's name."""
        shown: dict[Any, list[FoundPair]] = {}
        for i, pair in enumerate(self.pairs):
            key = i if pair.for_seed is None else (pair.search, pair.name)
            shown.setdefault(key, []).append(pair)
        return [own[0] if own[0].for_seed is None else _together(own) for own in shown.values()]

    @property
    def complete(self) -> bool:
        """Whether every point has its pairs, all within the tolerance and with all their draws."""
        draws = [(one, point) for point in self.points for one in point.get("draws", ())]
        enough = all(one["accepted"] >= point["wanted"] for one, point in draws)
        return enough and not self.without_pair and all(p.within_tolerance for p in self.pairs)

    @property
    def differences(self) -> list[Difference]:
        """Each pair minus the first one, in what was matched."""
        if not self.pairs:
            return []
        return [Difference.from_row(row) for p in self.points for row in p.get("differences", ())]

    @property
    def against_each_other(self) -> list[str]:
        """A sentence for every such difference between the two ends."""
        ends = {one.second for one in self.differences[:1]}
        return [one.in_words for one in self.differences if one.second in ends]

    @property
    def without_pair(self) -> list[dict[str, Any]]:
        """The points that gave no pair."""
        return [point for point in self.points if not _pairs_of([point], self.pairs)]


def outcomes(summary: Mapping[str, Any]) -> list[Outcome]:
    """A summary, target by target, in the order of the grid's points."""
    points: list[dict[str, Any]] = summary["points"]
    pairs = [FoundPair.from_row(row) for row in summary["pairs"]]
    found: list[Outcome] = []
    for point in points:
        known = [outcome for outcome in found if outcome.target == point["target"]]
        if known:
            known[0].points.append(point)
        else:
            found.append(Outcome(point["target"], [point], []))
    for outcome in found:
        outcome.pairs.extend(_pairs_of(outcome.points, pairs))
    return found


def _accepted(point: Mapping[str, Any]) -> str:
    """What kernel draws had to match, and how many did."""
    counts = "; ".join(
        f"{one['name'].replace('_', ' ')} {one['accepted']} of {one['tried']}"
        + (f" ({point['wanted']} wanted)" if one["accepted"] < point["wanted"] else "")
        for one in point["draws"]
    )
    return (
        f"Kernel draws accepted for an exact bound within {point['window_bits']:g} of "
        f"{point['target']['value']:g} and information within {point['window_bits']:g} of "
        f"{point['information_bits']:.3f} bits/token: {counts}."
    )


def _together(draws: Sequence[FoundPair]) -> FoundPair:
    """Accepted draws of one pair as a pair with means over them."""
    measured = {}
    for name in draws[0].measured:
        mean = summarize([pair.measured[name][0] for pair in draws])
        error = None if mean.n < 2 else mean.standard_error
        measured[name] = (mean.mean, error)
    metric = draws[0].target["metric"]
    return draws[0].model_copy(
        update={
            "seed": None, "for_seed": None, "measured": measured, "num_seeds": len(draws),
            "difficulty": measured[metric][0], "difficulty_se": measured[metric][1],
        }
    )  # fmt: skip


def _pairs_of(points: Iterable[Mapping[str, Any]], pairs: Iterable[FoundPair]) -> list[FoundPair]:
    return [pair for pair in pairs if any(pair.search in point["searches"] for point in points)]
