"""Learning curves in ``metrics/<id>.jsonl``, read as they grow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

MAX_POINTS = 500
"""Points that one drawn curve has at most."""


Point = dict[str, Any]


class CurveFile:
    """A cell's ``metrics/<id>.jsonl``, read from where the last reading ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[Point] = []
        self._offset = 0

    def refresh(self) -> None:
        """Takes in the whole lines written since; begins anew where the file became shorter."""
        try:
            if self.path.stat().st_size < self._offset:
                self.points, self._offset = [], 0
            with self.path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._add(line)

    def _add(self, line: bytes) -> None:
        try:
            point = json.loads(line)
        except ValueError:
            return
        if not isinstance(point, dict):
            return
        if "step" in point:  # a resumed cell logs some steps again: the later ones count
            while self.points and self.points[-1].get("step", -1) >= point["step"]:
                self.points.pop()
        self.points.append(point)

    @property
    def names(self) -> list[str]:
        """Metrics that it holds, in the order met."""
        names = {k: None for p in self.points for k, v in p.items() if isinstance(v, int | float)}
        return [name for name in names if name != "step"]

    def curve(self, name: str) -> list[tuple[float, float]]:
        """(step, value) of one metric, thinned; the step is the line's number if it has none."""
        pairs = [
            (float(point.get("step", i)), float(point[name]))
            for i, point in enumerate(self.points)
            if isinstance(point.get(name), int | float) and point[name] == point[name]
        ]
        return thin(pairs)


def thin(pairs: list[tuple[float, float]], most: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points: of each stretch the lowest and the highest, so no spike is lost."""
    if len(pairs) <= most:
        return pairs
    size = -(-len(pairs) // (most // 2 - 1))
    kept = {0, len(pairs) - 1}
    for start in range(0, len(pairs), size):
        stretch = range(start, min(start + size, len(pairs)))
        kept |= {min(stretch, key=lambda i: pairs[i][1]), max(stretch, key=lambda i: pairs[i][1])}
    return [pairs[i] for i in sorted(kept)]


class _NewPoints:
    """The points added to a metrics file since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = self._count = 0

    def read(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Step and numbers of every new whole line; points without a ``step`` are counted."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:
            return
        self._position += len(whole) + len(newline)
        for line in whole.splitlines():
            with suppress(ValueError, AttributeError, TypeError):  # a killed worker's last line
                point = json.loads(line)
                step = int(point.pop("step", self._count))
                self._count += 1
                yield step, point
