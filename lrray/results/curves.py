"""Learning curves in ``metrics/<id>.jsonl``: read as they grow, whatever a killed worker left.

A line is one logged point. Points of one step are one point: a training loss and an evaluation may
be logged one after the other. A step that goes *back* is a resumed cell's first: the points beyond
it are drawn again and count no more. A line that cannot be read is passed over.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrray.json_text import parse_json

MAX_POINTS = 500
"""Points that one drawn curve has at most."""

_BLOCK_BYTES = 1 << 24
"""Bytes that are read at once."""

MOST_KEPT = 200_000
"""Points of curves that are kept in memory: some 100 MB."""

Point = dict[str, Any]
"""Name -> number, ``step`` among them; what a function logged without a step has none."""


class CurveFile:
    """A cell's curves, read from where the last reading ended.

    Args:
        path: of the file, which need not be there yet.
        tail_bytes: read no more than these at first; None: all.
    """

    def __init__(self, path: Path, tail_bytes: int | None = None) -> None:
        self.path = path
        self.points: list[Point] = []
        self._offset = 0
        self._tail_bytes = tail_bytes

    @property
    def num_read(self) -> int:
        """Bytes read so far: where they are as many as before, so are the points."""
        return self._offset

    def refresh(self) -> None:
        """Takes in the whole lines written since; begins anew where the file became shorter."""
        for point in self.read_new():
            self._add(point)

    def read_new(self) -> Iterator[Point]:
        """The points of the whole lines written since the last reading, as they were logged."""
        while lines := self._read_lines():
            for line in lines.splitlines():
                try:
                    point = parse_json(line)
                except ValueError:  # a killed worker's last line
                    continue
                if isinstance(point, dict) and _is_step(point.get("step", 0)):
                    yield point

    def _read_lines(self) -> bytes:
        """Whole lines, of some megabytes at most; empty where there are no more."""
        try:
            state = self.path.stat()
            if not stat.S_ISREG(state.st_mode):  # a pipe would keep its reader waiting
                return b""
            if state.st_size < self._offset:
                self.points, self._offset = [], 0
            if self._offset == 0 and self._tail_bytes is not None:
                self._offset = max(0, state.st_size - self._tail_bytes)
            with self.path.open("rb") as file:
                file.seek(self._offset)
                block = file.read(_BLOCK_BYTES)
        except OSError:
            return b""
        whole, newline, rest = block.rpartition(b"\n")
        # No point is as long as a block: what holds no line is passed over, and not read again.
        self._offset += len(block) if len(rest) == _BLOCK_BYTES else len(whole) + len(newline)
        return whole + newline if newline else block if len(rest) == _BLOCK_BYTES else b""

    def _add(self, point: Point) -> None:
        step = point.get("step")
        if step is not None:
            while self.points and self.points[-1].get("step", -1) > step:
                self.points.pop()
            if self.points and self.points[-1].get("step") == step:
                self.points[-1] |= point
                return
        self.points.append(point)

    @property
    def names(self) -> list[str]:
        """Metrics that it holds, in the order met."""
        names = {k: None for p in self.points for k, v in p.items() if isinstance(v, int | float)}
        return [name for name in names if name != "step"]

    def curve(self, name: str) -> list[tuple[float, float]]:
        """(step, value) of one metric; the step is the point's number if it has none."""
        return curve_of(self.points, name)


def _is_step(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def read_points(path: Path) -> list[Point]:
    """All points of a cell's curves; none where it logged none."""
    file = CurveFile(path)
    file.refresh()
    return file.points


class ReadCurves:
    """Points of files as they were last read, while these do not change.

    Several sections of a report ask for the same curves. Where there are more points than may be
    kept, all are forgotten.
    """

    def __init__(self, most_points: int = MOST_KEPT) -> None:
        self._most_points, self._num_points = most_points, 0
        self._known: dict[Path, tuple[tuple[int, int], list[Point]]] = {}

    def read(self, path: Path) -> list[Point]:
        """All points of a cell's curves; none where it logged none."""
        try:
            state = path.stat()
        except OSError:
            return []
        stamp = (state.st_mtime_ns, state.st_size)
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        points = read_points(path)
        if self._num_points + len(points) > self._most_points:
            self._known.clear()
            self._num_points = 0
        self._known[path] = stamp, points
        self._num_points += len(points)
        return points


def curve_of(points: list[Point], name: str) -> list[tuple[float, float]]:
    """(step, value) of one metric; the step is the point's number if it has none."""
    return [
        (float(point.get("step", i)), float(point[name]))
        for i, point in enumerate(points)
        if isinstance(point.get(name), int | float) and point[name] == point[name]
    ]


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
