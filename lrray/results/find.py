"""Which run is meant: by its folder, its id, the name of its study, or a tag."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from lrray.errors import LrrayError, did_you_mean
from lrray.files import write_whole
from lrray.json_text import read_json
from lrray.results.lock import is_held
from lrray.results.run import Run, find_runs

TAGS = "tags.json"
"""File of a run that holds the names which its user gave it."""

WORK = ("cells", "checkpoints")
"""Folders of a run that hold what took time."""


def has_work(path: Path) -> bool:
    """Whether a run's folder holds anything that took time: a finished cell, or a checkpoint."""
    return any(file.is_file() for name in WORK for file in (path / name).rglob("*"))


def latest_run(results: Path, study: str) -> Path | None:
    """The newest run of a study that is worth continuing, or None.

    One that a driver works in counts, so that it is found to be taken. One that was stopped before
    its first cell had ended does not: it would hide the one before.
    """
    settled = sorted((results / study).glob("*/study.yaml"), reverse=True)
    return next((p.parent for p in settled if has_work(p.parent) or is_held(p.parent)), None)


def find_run(reference: str, results: Path = Path("results")) -> Run:
    """The run that a user means.

    Args:
        reference: a run's folder; a study's folder or name, for its newest run; a run's id with or
            without its study before it; a tag. An id may be cut short where that is unambiguous.
        results: the results folder, where the reference is no path.

    Raises:
        LrrayError: it names no run, or several.
    """
    for path in (Path(reference), results / reference):
        if (path / "study.yaml").is_file():
            return Run(path.resolve())
        if next(path.glob("*/study.yaml"), None) is not None:
            newest = latest_run(path.parent, path.name)
            return find_runs(path)[-1] if newest is None else Run(newest.resolve())
    runs = find_runs(results) if results.is_dir() else []
    matching = [run for run in runs if run.name == reference or reference in tags_of(run.path)]
    matching = matching or [run for run in runs if run.path.name.startswith(reference)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(run.name for run in matching)
        raise LrrayError(reference, f"means several runs: {names}", fix="write one of them")
    known = [name for run in runs for name in (run.name, *tags_of(run.path))]
    known += {run.path.parent.name: None for run in runs}
    fix = did_you_mean(reference, known) if known else f"no run is in {results}; give --out"
    raise LrrayError(reference, "names no run", fix=fix)


def tags_of(path: Path) -> list[str]:
    """The tags of the run in a folder; none where they cannot be read."""
    try:
        tags = read_json(path / TAGS)
    except (OSError, ValueError):
        return []
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def set_tags(path: Path, tags: Iterable[str]) -> None:
    """Replaces the tags of the run in a folder."""
    write_whole(path / TAGS, json.dumps(list(dict.fromkeys(tags))) + "\n")
