"""The page about notebooks, executed as one in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.blocks import ROOT, Block, blocks

PAGE = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow


def executed(folder: Path, source: list[Block]) -> list[nbformat.NotebookNode]:
    """The cells of the page with their output."""
    cells = [nbformat.v4.new_code_cell(block.text) for block in source]
    notebook = nbformat.v4.new_notebook(cells=cells)
    kernel = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=kernel).execute()
    return list(notebook.cells)


def said(cell: nbformat.NotebookNode) -> str:
    """What a cell prints, then the text of its value."""
    streams = [output.text for output in cell.outputs if output.output_type == "stream"]
    values = [output.data["text/plain"] for output in cell.outputs if "data" in output]
    return "".join(streams) + "".join(f"{value}\n" for value in values)


def test_the_page_runs_as_a_notebook_and_shows_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = list(blocks(PAGE))
    for block in found:
        if "file" in block.marks:
            (tmp_path / block.marks["file"]).write_text(block.text, encoding="utf-8")
    shown = [
        (block, after)
        for block, after in zip(found, [*found[1:], None], strict=True)
        if block.language == "python" and "file" not in block.marks
    ]
    cells = executed(tmp_path, [block for block, _ in shown])
    for cell, (block, after) in zip(cells, shown, strict=True):
        if after is not None and after.language == "text":
            assert said(cell) == after.text, f"line {block.line}"
    pictures = [
        output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
    tables = [
        output for cell in cells for output in cell.outputs if "text/html" in output.get("data", {})
    ]
    assert len(tables) == 2  # means and the comparison
