"""Weights that a finished cell keeps: ``weights/<cell>/model*.safetensors`` in the run's folder.

A study's ``keep_weights`` says whether; by default a training study keeps those of small models.
It is no part of a cell's settings, for the numbers do not depend on it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lrray.config import load_yaml
from lrray.errors import LrrayError
from lrray.studies.kind import CellContext

SMALL_BYTES = 4 * 2**20
"""Weights up to this size, a million float32 numbers, are kept where nothing is said."""


def asked_to_keep(context: CellContext) -> bool | None:
    """What the running study says of weights; None: nothing."""
    try:
        asked = load_yaml(_run(context) / "study.yaml").get("keep_weights")
    except LrrayError:
        return None
    return asked if isinstance(asked, bool) else None


def kept_folder(context: CellContext) -> Path:
    """Where a cell's weights go."""
    # Below the cell's own name is a seed's, where the cell repeats several.
    parts = context.checkpoint.relative_to(_run(context) / "checkpoints").parts
    return _run(context) / "weights" / "_".join(parts)


def keep_newest(checkpoints: Path, context: CellContext, asked: bool | None) -> None:
    """Keeps the weights of the newest checkpoint, before it goes.

    Args:
        checkpoints: folder of ``step_…``.
        context: of the cell.
        asked: whether to; None: if they are small.
    """
    newest = max(checkpoints.glob("step_*"), default=None)
    files = sorted(newest.glob("model*.safetensors")) if newest is not None else []
    size = sum(file.stat().st_size for file in files)
    if asked or (asked is None and size <= SMALL_BYTES):
        _keep(files, kept_folder(context))


def _keep(files: Sequence[Path], folder: Path) -> None:
    """Links the files into a folder that appears whole."""
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in files:
        try:
            os.link(file, partial / file.name)
        except OSError:  # a file system without links
            shutil.copyfile(file, partial / file.name)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another worker was faster
        partial.rename(folder)


def _run(context: CellContext) -> Path:
    return context.shared.parent
