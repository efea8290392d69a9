"""One look for all figures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from lrray.files import whole_file

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
"""Okabe and Ito's palette: told apart with any colour vision and in print."""

ALONE = (5.6, 3.9)
"""Width and height of a figure with a single panel, in inches."""

DPI = 150
"""Pixels an inch of the PNG figures."""

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLORS),
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "savefig.dpi": DPI,
    "pdf.fonttype": 42,
}


def in_style() -> AbstractContextManager[None]:
    """Within it, what is drawn has the common style."""
    return mpl.rc_context(_STYLE)


@contextmanager
def figure(width: float = 6.4, height: float = 4.4) -> Iterator[Figure]:
    """A figure in the common style; drawn without a display."""
    with in_style():
        yield Figure(figsize=(width, height))


def save(drawn: Figure, folder: Path, name: str) -> Path:
    """Writes ``name.png`` and ``name.pdf``; returns the PNG.

    Whole under a temporary name first, so that a link of that name is replaced, not followed.
    """
    with in_style():
        _write(drawn, folder / f"{name}.png")
        drawn.set_layout_engine("none")  # found once, it serves both
        _write(drawn, folder / f"{name}.pdf")
    return folder / f"{name}.png"


def _write(drawn: Figure, path: Path) -> None:
    with whole_file(path) as partial, warnings.catch_warnings():
        # A character that the font lacks is drawn as a box: no reason to go without the figure.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font")
        drawn.savefig(partial, format=path.suffix.removeprefix("."))
