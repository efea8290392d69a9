"""Kind ``difficulty``: which (alpha_X, alpha_Z) are equally hard."""

from lrray.studies.difficulty.cells import CODE, run_cell
from lrray.studies.difficulty.settings import DifficultyStudy as Study

__all__ = ["CODE", "Study", "run_cell"]
