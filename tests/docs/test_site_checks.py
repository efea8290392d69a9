"""The check of the built site sees what is broken, and only that."""

import importlib.util

import pytest

from tests.docs.blocks import ROOT

_spec = importlib.util.spec_from_file_location("check_site", ROOT / "docs/check_site.py")
check_site = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check_site)

SOUND = """
<link rel="stylesheet" href="style.css"><a href="https://elsewhere.org">out</a>
<h1 id="top">…</h1><a href="#top">up</a><a href="sub/b%20c.html?x#there">b</a><img src="a.png">
<dl><dt>Return type:</dt><dd><p>dict[str, int | None]</p></dd></dl>
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(SOUND)
    (tmp_path / "sub/b c.html").write_text('<a name="there"></a><a href="../index.html">a</a>')
    (tmp_path / "style.css").write_text("body { background: url(a.png) }")
    (tmp_path / "a.png").write_bytes(b"")
    return tmp_path


def test_a_sound_site_has_no_problems(site):
    assert list(check_site.problems(site)) == []


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ('<a href="gone.html">x</a>', "gone.html leads to no file"),
        ('<a href="sub/b%20c.html#gone">x</a>', "leads to no heading"),
        ('<a href="#gone">x</a>', "#gone leads to no heading"),
        ('<img src="gone.png">', "gone.png leads to no file"),
        ('<script src="https://cdn.org/x.js"></script>', "loads https://cdn.org/x.js"),
        ("<dl><dt>Type<span>:</span></dt><dd><p>Number of states</p></dd></dl>", "is prose"),
        ('<link rel="stylesheet" href="//fonts.org/f.css">', "loads //fonts.org/f.css"),
    ],
)
def test_each_kind_of_mistake_is_told(site, added, problem):
    (site / "index.html").write_text(SOUND + added)
    [found] = check_site.problems(site)
    assert problem in found


def test_a_style_sheet_that_loads_fonts_from_elsewhere_is_told(site):
    (site / "style.css").write_text('@font-face { src: url("https://fonts.org/f.woff") }')
    assert list(check_site.problems(site)) == ["style.css: loads from elsewhere"]
