"""The page's examples print what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from lrray.gssm import NodeConfig

PAGE = (Path(__file__).parents[2] / "docs" / "gssm.md").read_text(encoding="utf-8")


def test_the_examples_print_what_the_page_shows() -> None:
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == PAGE.count("```python")
    names: dict[str, object] = {}
    for code, shown in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == shown


def test_every_key_of_a_node_has_its_line() -> None:
    keys = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert keys == list(NodeConfig.model_fields)
