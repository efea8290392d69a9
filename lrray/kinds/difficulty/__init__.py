"""Kind ``difficulty``: which (alpha_X, alpha_Z) are equally hard."""

from lrray.kinds.difficulty.cell import draw_graph, run_cell
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.studies.kind import Kind

KIND = Kind(
    Study=DifficultyStudy,
    run_cell=run_cell,
    results_version=2,
    report="lrray.reports.difficulty.report",
    graph=draw_graph,
    program="lrray.kinds.difficulty.run:DifficultyProgram",
)

__all__ = ["KIND"]
