"""Trials: what people bring to tools like this one, and what is to come of it here.

Each is an entry of a file ``tests/field/*.yaml``; ``CONTRIBUTING.md`` says how to add one.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lrray.cli.app import app
from lrray.errors import LrrayError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Trial:
    """One row."""

    brought: str
    """What somebody brings, in a sentence."""
    origin: str
    """Where such things are met."""
    command: str
    """What they type after ``lrray``."""
    files: dict[str, str] = field(default_factory=dict)
    """Name -> text of the files beside."""
    env: dict[str, str] = field(default_factory=dict)
    """Variables of the environment; ``{here}`` is the folder."""
    code: int = 0
    """Exit code; 2 means refused, in one line."""
    says: tuple[str, ...] = ()
    """What the terminal shows, whatever the white space."""
    lines: int | None = None
    """Lines on stderr; 1 for what is refused."""
    writes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of a YAML file that is written -> what it holds by key path (``a/b``)."""
    slow: bool = False
    """Whether it starts Ray."""


def trials() -> list[Any]:
    """All rows, as parameters of a test."""
    rows = []
    for path in sorted(FOLDER.glob("*.yaml")):
        shared = yaml.safe_load(path.read_text())
        for row in shared["trials"]:
            row["files"] = {**shared.get("files", {}), **row.get("files", {})}
            row["says"] = tuple(row.get("says", ()))
            trial = Trial(**{"origin": shared.get("origin", ""), **row})
            marks = [pytest.mark.slow] if trial.slow else []
            rows.append(pytest.param(trial, id=f"{path.stem}: {trial.brought}", marks=marks))
    return rows


def words(trial: Trial, here: Path) -> list[str]:
    """The command, word by word."""
    return [word.replace("{here}", str(here)) for word in shlex.split(trial.command)]


def bring(trial: Trial, here: Path) -> tuple[int, str, str]:
    """Does it in this process; exit code, stdout and stderr as a user has them."""
    for name, text in trial.files.items():
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    known = set(sys.modules)
    try:
        done = CliRunner().invoke(app, words(trial, here))
    finally:
        for name in set(sys.modules) - known:  # the next trial's module may have the same name
            if str(here) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
    if isinstance(done.exception, LrrayError):
        return done.exception.exit_code, done.stdout, f"{done.stderr}{done.exception}\n"
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr
