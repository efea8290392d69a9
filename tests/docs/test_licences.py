"""The page of licences names every direct dependency, and for each a licence."""

import importlib.util
import re

from tests.docs.blocks import ROOT

_spec = importlib.util.spec_from_file_location("licences", ROOT / "docs/licences.py")
licences = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(licences)


def test_every_direct_dependency_has_a_licence_on_the_page():
    rows = dict(re.findall(r"^\| ([\w.-]+) \| .* \| (.*) \|$", licences.PAGE.read_text(), re.M))
    rows.pop("package")
    assert list(rows) == list(licences.dependencies())
    assert not {"", "not named", "not installed"} & set(rows.values())


def test_the_page_written_now_keeps_lines_of_packages_that_are_not_installed():
    assert "| optuna-dashboard | `[dashboard]` | MIT License |" in licences.page()
