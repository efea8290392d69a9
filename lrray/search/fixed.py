"""A list of cells as a source: short ones share a trial, those of one shape a process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice, takewhile

from lrray.results.folder import RunFolder
from lrray.results.record import CellRecord
from lrray.search.queue import CellSource
from lrray.studies.cell import Cell
from lrray.studies.kind import load_kind

BATCH_S = 1.0
"""Short cells share a trial up to about this much work: a trial itself costs about 0.07 s."""


class FixedCells(CellSource):
    """A list of cells, each run once; short ones are grouped.

    Args:
        folder: of the run.
        cells: to be run.
        slots: gives how many trials run at once; asked for when cells are handed out.
        pack: most cells that are computed together, where their kind can.
    """

    def __init__(
        self, folder: RunFolder, cells: Iterable[Cell], slots: Callable[[], int], pack: int = 1
    ) -> None:
        super().__init__(folder)
        self._waiting = deque(by_pack(cells) if pack > 1 else (("", cell) for cell in cells))
        self._slots, self._pack = slots, pack
        self._seconds = BATCH_S  # of one cell, as far as is known

    @property
    def num_left(self) -> int:
        """Cells not yet handed out."""
        return len(self._waiting)

    def take(self, trial_id: str) -> list[Cell]:
        """Cells that make about ``BATCH_S`` of work, or a pack; some are left for every slot."""
        slots = max(1, self._slots()) * (1 if self._pack > 1 else 2)
        size = self._pack if self._pack > 1 else int(BATCH_S / max(self._seconds, 1e-3))
        count = max(1, min(size, -(-len(self._waiting) // slots)))
        key = self._waiting[0][0] if self._waiting else ""
        alike = list(takewhile(lambda one: one[0] == key, islice(self._waiting, count)))
        for _ in alike:
            self._waiting.popleft()
        return [cell for _, cell in alike]

    def ended(self, trial_id: str, records: list[CellRecord | None]) -> None:
        """Learns how long a cell takes."""
        seconds = [record.seconds for record in records if record is not None]
        if seconds:
            self._seconds = 0.5 * self._seconds + 0.5 * sum(seconds) / len(seconds)


def by_pack(cells: Iterable[Cell]) -> list[tuple[str, Cell]]:
    """Key and cell, keys in the order of their first cells; of a kind without keys, each its own.

    See :attr:`lrray.studies.kind.Kind.pack_key`.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        key = load_kind(cell.kind).pack_key
        groups.setdefault(cell.id if key is None else key(cell.settings), []).append(cell)
    return [(key, cell) for key, group in groups.items() for cell in group]
