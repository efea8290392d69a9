"""Which modules a study's own code consists of, and what counts as a change of them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from lrray.studies.code import UserCode, user_code


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(**files: str) -> None:
    """Files by their path, with ``__`` for a slash: ``pkg__part=...`` is ``pkg/part.py``."""
    for name, text in files.items():
        path = Path(name.replace("__init", "\0").replace("__", "/").replace("\0", "/__init__"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(text)


def names(code: UserCode) -> list[str]:
    return [module.name for module in code.modules]


BASE = '"""Adds."""\n\n\ndef add(a, b):\n    """The sum."""\n    return a + b\n'


def digest(text: str) -> str:
    write(measured=text)
    return user_code(["measured"]).digest


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\n    return a + b\n",
        "# A comment.\n" + BASE,
        BASE.replace("The sum", "The total"),
        BASE.replace("a + b", "(a\n        + b)  # grouped"),
        BASE.replace("(a, b)", "( a,b )"),
        BASE.replace("\n", "\r\n"),
        "# -*- coding: latin-1 -*-\n" + BASE,
    ],
)
def test_comments_docstrings_and_layout_do_not_matter(text: str) -> None:
    assert digest(text) == digest(BASE)


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("a + b", "a - b"),
        BASE.replace("add", "plus"),
        BASE + "\nLIMIT = 3\n",
        BASE.replace("a + b", "None"),
        BASE.replace("a + b", ""),
        BASE.replace("a + b", "a + 1"),
        BASE.replace("a + b", "'a'"),
        "this is no Python",
    ],
)
def test_what_code_computes_matters(text: str) -> None:
    assert digest(text) != digest(BASE)


def test_code_that_python_cannot_read_counts_as_it_stands() -> None:
    assert digest("this is no Python") != digest("nor is this")
    for terms in (500, 5000):
        deep = " + ".join(["1"] * terms)
        assert digest(f"x = {deep}") != digest(f"x = {deep} + 2")


def test_the_digest_is_the_same_wherever_the_modules_lie(here: Path, monkeypatch) -> None:
    write(measured="import helper\n", helper=BASE)
    first = user_code(["measured"])
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path[1:]])
    write(measured="import helper\n", helper=BASE)
    second = user_code(["measured"])
    assert first.modules[0].file != second.modules[0].file
    # Pinned: another machine or another version of Python must find the same.
    assert first.digest == second.digest == "ff002627b4c734a4"


@pytest.mark.parametrize(
    "statement",
    [
        "import helper",
        "import helper as h, json",
        "from helper import x",
        "from helper import *",
        "if False:\n    import helper",
        "try:\n    import helper\nexcept ImportError:\n    pass",
        "def f():\n    import helper",
        "import middle",
        "from importlib import import_module\nimport_module('helper')",
        "import importlib\nimportlib.import_module('helper')",
        "__import__('helper')",
    ],
)
def test_an_imported_module_counts_however_it_is_imported(statement: str) -> None:
    write(measured=statement, helper="x = 1", middle="import helper")
    before = user_code(["measured"])
    assert "helper" in names(before)
    write(helper="x = 2")
    assert user_code(["measured"]).digest != before.digest


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("from . import part", ["pkg.part"]),
        ("from .part import x", ["pkg.part"]),
        ("from .inner import deep", ["pkg.inner", "pkg.inner.deep", "pkg.part"]),
        ("from .inner.deep import y", ["pkg.inner", "pkg.inner.deep", "pkg.part"]),
        ("import pkg.inner.deep", ["pkg.inner", "pkg.inner.deep", "pkg.part"]),
        ("from pkg.inner import *", ["pkg.inner", "pkg.inner.deep", "pkg.part"]),
        ("from ... import above", []),
        ("from .missing import x", []),
    ],
)
def test_packages_and_relative_imports_are_followed(statement: str, found: list[str]) -> None:
    write(
        pkg__init="", pkg__part="x = 1", pkg__main=statement, pkg__unused="",
        pkg__inner__init="__all__ = ['deep']", pkg__inner__deep="from ..part import x\ny = x",
    )  # fmt: skip
    assert names(user_code(["pkg.main"])) == sorted(["pkg", "pkg.main", *found])


def test_a_package_counts_with_what_its_init_imports() -> None:
    write(pkg__init="from . import core", pkg__core="import outside", outside="", pkg__main="")
    assert names(user_code(["pkg.main"])) == ["outside", "pkg", "pkg.core", "pkg.main"]


def test_folders_without_init_are_followed() -> None:
    write(space__inner__main="from . import part\nfrom .. import other", space__inner__part="")
    write(space__other="")
    assert names(user_code(["space.inner.main"])) == [
        "space.inner.main", "space.inner.part", "space.other",
    ]  # fmt: skip


def test_modules_that_import_one_another_are_found_once() -> None:
    write(one="import two", two="import one")
    assert names(user_code(["one", "two", "one"])) == ["one", "two"]


def test_nothing_is_executed() -> None:
    write(pkg__init="raise SystemExit", pkg__main="import helper\n1 / 0", helper="1 / 0")
    assert names(user_code(["pkg.main"])) == ["helper", "pkg", "pkg.main"]
    assert "pkg" not in sys.modules


def test_installed_packages_the_standard_library_and_lrray_do_not_count(here: Path) -> None:
    write(measured="import json, numpy.random, yaml, lrray.gssm\nfrom lrray import config")
    assert names(user_code(["measured", "numpy", "sys", "no_such_module"])) == ["measured"]


def test_installed_packages_beside_the_study_do_not_count(here: Path, monkeypatch) -> None:
    write(measured="import own_environment_package")
    folder = here / ".venv" / "lib" / "site-packages"
    folder.mkdir(parents=True)
    (folder / "own_environment_package.py").write_text("")
    monkeypatch.syspath_prepend(folder)
    assert names(user_code(["measured"])) == ["measured"]


def test_a_source_tree_on_the_path_counts(here: Path, monkeypatch) -> None:
    write(measured="import shared_code")
    (here / "tree").mkdir()
    (here / "tree" / "shared_code.py").write_text("")
    monkeypatch.syspath_prepend(here / "tree")
    monkeypatch.syspath_prepend(here)
    assert names(user_code(["measured"])) == ["measured", "shared_code"]


def test_many_modules_are_found_whatever_the_order_of_their_imports() -> None:
    rng = random.Random(0)
    graph = {f"m{i}": rng.sample(range(30), 3) for i in range(30)}
    write(**{name: "\n".join(f"import m{j}" for j in to) for name, to in graph.items()})
    reached, waiting = set(), ["m0"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [f"m{j}" for j in graph[name]]
    assert names(user_code(["m0"])) == sorted(reached)
