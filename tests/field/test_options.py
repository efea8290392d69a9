"""Every documented option of every kind is set by some study that the suite runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel, create_model

from lrray.studies.kind import known_kinds, load_kind
from lrray.studies.load import load_study
from tests.studies.small_study import environment

FOLDER = Path(__file__).parent / "options"
STUDIES = yaml.safe_load((FOLDER / "studies.yaml").read_text())
ELSEWHERE: dict[str, str] = yaml.safe_load((FOLDER / "elsewhere.yaml").read_text())
"""Option -> the test that runs it, where a small study cannot."""
SHARED = ("resources", "tracking", "search", "storage", "seed")
"""What all kinds have in common counts wherever it is set."""
ROOT = Path(__file__).parents[2]


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Settings classes inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def choices(annotation: Any) -> Iterator[Any]:
    """What a ``Literal`` inside a type lets choose among."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for part in get_args(annotation):
        if get_origin(annotation) is not Literal:
            yield from choices(part)


def options(model: type[BaseModel], path: str) -> Iterator[str]:
    """Key paths of all settings, and of every choice of those that have some."""
    for name, field in model.model_fields.items():
        own = f"{path}.{name}"
        yield own
        annotations = [field.annotation, *field.metadata]
        yield from (f"{own}={choice}" for choice in choices(field.annotation))
        for inner in {one for part in annotations for one in models(part)}:
            if name not in ("graph", "pairs", "search_space"):  # files: their own tests
                yield from options(inner, own)


def given(data: Any, path: str) -> Iterator[str]:
    """Key paths that a study sets, and what it sets them to."""
    yield path
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from given(value, f"{path}.{key}")
    elif isinstance(data, str):
        yield f"{path}={data}"


def set_by(data: Mapping[str, Any]) -> set[str]:
    kind = str(data["kind"])
    found = set(given({k: v for k, v in data.items() if k != "grid"}, kind))
    for axis, values in (data.get("grid") or {}).items():
        for value in values if isinstance(values, list) else [None]:
            found |= set(given(value, f"{kind}.{axis}"))
    return found


def unset(known: set[str], found: set[str]) -> list[str]:
    """Options that neither a study sets nor another test runs."""
    bare = {*(one.partition(".")[2] for one in found), *ELSEWHERE}
    return sorted(
        one for one in known - found - set(ELSEWHERE)
        if not (one.partition(".")[2].startswith(SHARED) and one.partition(".")[2] in bare)
    )  # fmt: skip


def set_by_all() -> set[str]:
    """Everything that the studies of the suite set."""
    found: set[str] = set()
    for row in STUDIES:
        found |= set_by(load_study(str(ROOT / row["study"]), row.get("words", ())).data)
    return found


def test_every_option_is_set_by_a_study_that_runs() -> None:
    known = {one for kind in known_kinds() for one in options(load_kind(kind).Study, kind)}
    assert len(known) > 200
    assert not unset(known, set_by_all())


def test_an_option_that_no_study_sets_is_named() -> None:
    kind = load_kind("function").Study
    more = create_model("More", __base__=kind, colour=(Literal["red", "blue"], "red"))
    added = {"function.colour", "function.colour=red", "function.colour=blue"}
    assert set(options(more, "function")) - set(options(kind, "function")) == added
    assert unset(set(options(more, "function")), set_by_all()) == sorted(added)


def test_every_reason_names_a_test() -> None:
    for option, test in ELSEWHERE.items():
        path, _, word = test.partition("::")
        assert word in (ROOT / path).read_text(), option


@pytest.mark.slow
@pytest.mark.parametrize("row", STUDIES, ids=lambda row: row["name"])
def test_the_study_runs(row: dict[str, Any], tmp_path: Path) -> None:
    words = [str(ROOT / row["study"]), *row.get("words", ()), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "lrray.study", *words], cwd=ROOT, capture_output=True, text=True,
        timeout=600, check=False, env={**environment(), "WANDB_MODE": "offline"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "report" in done.stdout
