"""What makes a cell itself: a hash of everything that changes its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lrray.studies.code import user_code_at_start
from lrray.studies.kind import load_kind
from lrray.studies.schema import CellStudy, StudyBase


@dataclass(frozen=True)
class Cell:
    """One point of a study: settings that are run once and give one result."""

    kind: str
    """Which kind of study runs it."""
    settings: Mapping[str, Any] = field(repr=False)
    """Everything that its result depends on, as plain data; no resources, no paths."""
    axes: Mapping[str, Any]
    """The settings that tell it from its neighbours, for tables; no part of its identity."""
    code: str
    """:func:`result_code` of its study."""

    @cached_property
    def id(self) -> str:
        """16 hex digits, the same for equal settings whatever the order of their keys."""
        return digest({"kind": self.kind, "settings": self.settings, "code": self.code})

    @property
    def user_code(self) -> str | None:
        """Digest of the user's modules that its code names; None where it names none."""
        return user_code_in(self.code)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a worker."""
        return {
            "kind": self.kind, "settings": dict(self.settings),
            "axes": dict(self.axes), "code": self.code,
        }  # fmt: skip


def user_code_in(code: str) -> str | None:
    """Digest of the user's modules in the code of a cell; None where it names none."""
    _, _, modules = code.removeprefix("results ").partition(" ")
    return modules or None


def digest(data: Any) -> str:
    """16 hex digits of plain data, the same whatever the order of mapping keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_cell(study: CellStudy, axes: Mapping[str, Any], seeds: Sequence[int] = ()) -> Cell:
    """The cell of a resolved study; with ``seeds``, one that repeats it and averages."""
    settings = study.cell_settings()
    if seeds:
        settings["seed"] = list(seeds)
    return Cell(study.kind, settings, dict(axes), result_code(study))


def result_code(study: StudyBase) -> str:
    """What stands for the code behind a study's results.

    The ``results_version`` of its kind, and a hash of the user's own modules where these count.
    """
    version = f"results {load_kind(study.kind).results_version}"
    code = user_code_at_start(study.user_modules())
    return f"{version} {code.digest}" if code.modules else version
