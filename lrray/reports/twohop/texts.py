"""A few of the texts that the models of a two-hop study generated."""

from __future__ import annotations

from typing import Any

from lrray.files import lies_inside, read_file
from lrray.json_text import parse_json
from lrray.reports.content import Row, Section, Table
from lrray.results.run import Run

_ASKED = {
    "first_hop": "first hop",
    "second_hop": "second hop",
    "nocot": "both, at once",
    "cot": "both, reasoning",
    "context": "both, in context",
    "worked": "both, after worked examples",
}

_KEYS = {"epoch", "split", "question", "answer", "text", "strict"}

_SHOWN = 2
"""Texts of each way to ask."""

_LENGTH = 300
"""Most characters of a text."""


def texts_section(run: Run, cell_id: str) -> list[Section]:
    """A section with the first texts that a cell generated at its end; none where it kept none."""
    samples = _read(run, cell_id)
    if not samples:
        return []
    last = [sample for sample in samples if sample["epoch"] == samples[-1]["epoch"]]
    rows = [
        _row(title, sample)
        for split, title in _ASKED.items()
        for sample in [s for s in last if s["split"] == split][:_SHOWN]
    ]
    text = (
        "Every generated text with its grades is a line of samples/<cell>.jsonl in the run's "
        f"folder. These are the first at the end of cell {cell_id}."
    )
    return [Section("Texts", text, (Table("texts", "Examples of generated texts", rows),))]


def _row(title: str, sample: dict[str, Any]) -> Row:
    return {
        "asked for": title,
        "question": sample["question"],
        "answer": sample["answer"],
        "text": " ".join(str(sample["text"]).split())[:_LENGTH],
        "right": sample["strict"],
    }


def _read(run: Run, cell_id: str) -> list[dict[str, Any]]:
    """A cell's samples; damaged ones, or a link out of the run's folder, count as absent."""
    path = run.path / "samples" / f"{cell_id}.jsonl"
    if not lies_inside(run.path, f"samples/{path.name}"):
        return []
    try:
        samples = [parse_json(line) for line in read_file(path).splitlines()]
    except (OSError, ValueError):
        return []
    return [s for s in samples if isinstance(s, dict) and s.keys() >= _KEYS]
