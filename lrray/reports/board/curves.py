"""Learning curves as the board draws them: read as they grow, thinned to what a screen shows."""

from __future__ import annotations

from lrray.files import lies_inside
from lrray.results.curves import CurveFile
from lrray.results.run import Run


class Curves:
    """The curves of a run's cells, by id."""

    def __init__(self, run: Run) -> None:
        self._run, self._folder = run, run.path / "metrics"
        self._files: dict[str, CurveFile] = {}

    def ids(self) -> list[str]:
        """Cells that logged curves."""
        try:
            return sorted(path.stem for path in self._folder.glob("*.jsonl"))
        except OSError:
            return []

    def of(self, cell_id: str) -> CurveFile | None:
        """A cell's curves as they are now, or None where it logged none.

        An id that leads out of the run's folder counts as one without curves.
        """
        path = self._folder / f"{cell_id}.jsonl"
        if not lies_inside(self._run.path, f"metrics/{path.name}") or not path.is_file():
            return None
        file = self._files.setdefault(cell_id, CurveFile(path))
        file.refresh()
        return file
