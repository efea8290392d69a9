"""What makes a cell another cell, and what does not."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lrray.studies.cell import Cell, code_version, digest

CELL = Cell("function", {"rate": 0.1, "model": {"type": "llama", "size": 8}}, {}, code="c0de")


def test_the_order_of_keys_does_not_matter() -> None:
    swapped = {"model": {"size": 8, "type": "llama"}, "rate": 0.1}
    assert replace(CELL, settings=swapped).id == CELL.id


def test_axes_are_labels_and_do_not_matter() -> None:
    assert replace(CELL, axes={"seed": 3}).id == CELL.id


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, kind="difficulty"),
        replace(CELL, code="c0df"),
        replace(CELL, settings={**CELL.settings, "rate": 0.2}),
        replace(CELL, settings={**CELL.settings, "model": {"type": "llama", "size": 9}}),
        replace(CELL, settings={**CELL.settings, "more": None}),
    ],
)
def test_kind_code_and_every_setting_matter(other: Cell) -> None:
    assert other.id != CELL.id


def test_ids_survive_the_way_to_a_worker() -> None:
    assert Cell(**CELL.to_dict()).id == CELL.id


def test_the_order_of_a_list_matters() -> None:
    assert digest([1, 2]) != digest([2, 1])


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "measured_code.py"
    yield path
    sys.modules.pop("measured_code", None)


def version(path: Path, code: str) -> str:
    path.write_text(code)
    code_version.cache_clear()
    return code_version("measured_code")


BASE = '"""Adds."""\n\ndef add(a, b):\n    """The sum."""\n    return a + b\n'


@pytest.mark.parametrize(
    "code",
    [
        "def add(a, b):\n    return a + b\n",
        "# A comment.\n" + BASE,
        BASE.replace("The sum", "The total"),
        BASE.replace("a + b", "(a\n        + b)  # grouped"),
        BASE.replace("(a, b)", "( a,b )"),
    ],
)
def test_comments_docstrings_and_layout_of_code_do_not_matter(module: Path, code: str) -> None:
    assert version(module, code) == version(module, BASE)


@pytest.mark.parametrize(
    "code",
    [BASE.replace("a + b", "a - b"), BASE.replace("add", "plus"), BASE + "\nLIMIT = 3\n"],
)
def test_what_code_computes_matters(module: Path, code: str) -> None:
    assert version(module, code) != version(module, BASE)


def test_a_package_counts_with_all_its_modules(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "measured_package"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py", "inner/core.py"):
        (package / name).write_text("")
    code_version.cache_clear()
    before = code_version("measured_package")
    (package / "inner" / "core.py").write_text("x = 1")
    code_version.cache_clear()
    assert code_version("measured_package") != before
