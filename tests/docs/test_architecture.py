"""The page about the architecture shows the picture as it is drawn now, and names real files."""

import importlib.util
import re

from tests.docs.blocks import ROOT

_PICTURE = ROOT / "docs/images/architecture.py"
_spec = importlib.util.spec_from_file_location("architecture", _PICTURE)
architecture = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(architecture)


def test_the_picture_is_the_one_that_its_script_draws():
    assert architecture.picture() == _PICTURE.with_suffix(".svg").read_text("utf-8")


def test_every_file_that_page_and_picture_name_is_there():
    text = (ROOT / "docs/architecture.md").read_text("utf-8") + architecture.picture()
    named = set(re.findall(r"\b((?:\w+/)+\w+\.py)\b", text))
    assert len(named) > 8
    roots = ROOT / "lrray", ROOT
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_every_package_stands_in_the_picture():
    there = {path.stem for path in (ROOT / "lrray").glob("[a-z]*") if path.name != "__pycache__"}
    drawn = {name for row in architecture.layers() for name in row}
    assert there - {"shipped"} == drawn


def test_walks_of_the_page_are_those_of_the_picture_and_short_enough():
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    _, _, walks = page.partition("## Walks")
    parts = walks.split("### ")[1:]
    for part, (_, files), most in zip(
        parts, architecture.WALKS.values(), (14, 7, 7, 5), strict=False
    ):
        assert re.findall(r"^\d+\. `([\w/]+\.py)`", part, re.MULTILINE) == files
        assert len(files) <= most
