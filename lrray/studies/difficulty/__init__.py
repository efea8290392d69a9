"""Kind ``difficulty``: which (alpha_X, alpha_Z) are equally hard."""

from lrray.studies.difficulty.cells import run_cell
from lrray.studies.difficulty.settings import DifficultyStudy as Study

__all__ = ["Study", "run_cell"]
