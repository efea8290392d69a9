"""Kind ``difficulty``: which (alpha_X, alpha_Z) are equally hard."""

from lrray.kinds.difficulty.cell import CODE, run_cell
from lrray.kinds.difficulty.settings import DifficultyStudy as Study

__all__ = ["CODE", "Study", "run_cell"]
