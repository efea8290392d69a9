"""A reference finds the user's code, and tells in one line why it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lrray.config import Problem
from lrray.references import failure, load_reference, user_modules

MEASURES = """
import math
from math import sqrt

LIMIT = 3

def measure(): return 7

def _hidden(): return 8

def breaks(value):
    return sqrt(value)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with modules of the user's, which are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    files = {
        "my_measures.py": MEASURES,
        "needs_more.py": "import json\nimport package_of_nobody\n",
        "asks_in_vain.py": "from my_measures import mesure\n",
        "does_not_parse.py": "def measure(:\n",
        "divides.py": "import math\n\nHALF = 1 / 0\n",
        "leaves.py": "import sys\nsys.exit('usage: leaves.py FILE')\n",
        "my_package/__init__.py": "",
        "my_package/inner.py": "class Model: pass\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(sys.modules[name].__file__).startswith(str(tmp_path)):
            del sys.modules[name]


def test_functions_and_classes_are_found_in_the_working_folder_and_among_installed_modules(
    folder: Path,
) -> None:
    assert load_reference("my_measures:measure")() == 7
    assert load_reference("my_package.inner:Model").__module__ == "my_package.inner"
    assert load_reference("math:sqrt")(9) == 3


@pytest.mark.parametrize(
    ("reference", "line"),
    [
        ("measure", "study: must be module:name, but got 'measure' (fix: my_module:my_function)"),
        (":measure", "study: must be module:name, but got ':measure' (fix: my_module:my_function)"),
        ("a:b:c", "study: must be module:name, but got 'a:b:c' (fix: my_module:my_function)"),
        (
            "my_package/inner.py:Model",
            "study: must be module:name, but got 'my_package/inner.py:Model' "
            "(fix: my_package.inner:Model)",
        ),
        (
            "my_measure:measure",
            "study: there is no module my_measure, but got 'my_measure:measure' "
            "(fix: did you mean 'my_measures'?)",
        ),
        (
            "my_package.outer:Model",
            "study: there is no module my_package.outer, but got 'my_package.outer:Model' "
            "(fix: did you mean 'my_package.inner'?)",
        ),
        (
            "elsewhere.outer:Model",
            "study: there is no module elsewhere.outer, but got 'elsewhere.outer:Model' "
            "(fix: write elsewhere/outer.py in {folder})",
        ),
        (
            "my_measures:mesure",
            "study: my_measures.py must define mesure, but got 'my_measures:mesure' "
            "(fix: did you mean 'measure'?)",
        ),
        (
            "my_measures:LIMIT",
            "study: LIMIT must be a function or a class, but got 'int' (fix: name one that is)",
        ),
    ],
)
def test_a_reference_to_nothing_is_one_line(folder: Path, reference: str, line: str) -> None:
    with pytest.raises(Problem) as caught:
        load_reference(reference)
    assert str(caught.value.error("study")) == line.replace("{folder}", str(folder))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("needs_more", "No module named 'package_of_nobody' (needs_more.py:2)"),
        ("asks_in_vain", "ImportError: cannot import name 'mesure' from 'my_measures'"),
        ("does_not_parse", "SyntaxError: invalid syntax (does_not_parse.py, line 1)"),
        ("divides", "ZeroDivisionError: division by zero (divides.py:3)"),
        ("leaves", "SystemExit: usage: leaves.py FILE (leaves.py:2)"),
    ],
)
def test_a_module_that_fails_is_told_from_one_that_is_not_there(
    folder: Path, module: str, reason: str
) -> None:
    with pytest.raises(Problem) as caught:
        load_reference(f"{module}:measure", at="function")
    line = str(caught.value.error("study"))
    beginning = f"study: function: module {module} is there but fails when it is imported: "
    assert line.startswith(beginning)
    assert reason in line
    assert "\n" not in line


def test_a_failure_names_the_deepest_line_of_the_users_own(folder: Path) -> None:
    with pytest.raises(ValueError) as caught:
        load_reference("my_measures:breaks")(-1)
    assert failure(caught.value).endswith(" (my_measures.py:12)")


def test_modules_of_references_are_named_once_and_those_of_lrray_not_at_all() -> None:
    names = ["llama", "b:One", "a.c:Two", "b:Three"]
    assert user_modules(names) == ("a.c", "b")
