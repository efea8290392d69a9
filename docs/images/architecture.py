"""Draws ``architecture.svg``: ``python docs/images/architecture.py``.

The rows are the layers of the import contract in ``pyproject.toml``; the lines are the walks of
``docs/architecture.md``, a dot for each file.
"""

from __future__ import annotations

import tomllib
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INK, PALE = "#222222", "#e9e9e4"
ROW, TOP, LEFT, LANES, STEP = 42, 62, 20, 500, 17.0

SAYS = {
    "study": "entry of python -m lrray.study",
    "cli": "the commands",
    "api": "import lrray: load, run, compare",
    "cluster": "jobs on clusters elsewhere",
    "runs": "one way to run a study",
    "reports": "report, board, compare",
    "sweeps": "W&B sweeps",
    "kinds": "what each kind of study is",
    "execution": "where cells run: Ray",
    "tracking": "W&B, TensorBoard",
    "storage": "the copy in a bucket",
    "search": "who proposes",
    "results": "what a run leaves",
    "studies": "what is asked",
    "twohop": "facts, questions, fine-tuning, grading",
    "models": "transformers, recurrent, state space",
    "training": "batches, steps, loss, checkpoints",
    "difficulty": "compressed size, entropy, contour",
    "gssm": "kernels, streams, exact likelihood",
    "references": "module:name of the user's own",
    "text": "numbers in words",
    "config": "YAML, settings",
    "periodic": "work now and then",
    "yaml_text": "YAML of others",
    "errors": "one line each",
    "files": "whole or absent",
    "statistics": "means, tests",
    "regression": "slopes over seeds",
    "json_text": "JSON of others",
    "processes": "which one, and whether it lives",
    "scratch": "folders for a while",
}
"""Package -> what it is, in a few words."""

WALKS = {
    "alpha_X, from YAML to a GSSM": (
        "#D55E00",
        [
            "cli/study.py", "studies/load.py", "studies/grid.py", "runs/run.py",
            "kinds/difficulty/run.py", "kinds/difficulty/point.py", "search/queue.py",
            "kinds/difficulty/cell.py", "execution/queue_adapter.py", "execution/worker.py",
            "execution/compute.py", "difficulty/estimate.py", "gssm/model.py", "gssm/kernels.py",
        ],
    ),
    "a finished cell, to the table": (
        "#0072B2",
        [
            "execution/worker.py", "results/folder.py", "results/record.py", "runs/run.py",
            "runs/grid.py", "results/groups.py", "runs/show.py",
        ],
    ),
    "a checkpoint, to the storage and back": (
        "#009E73",
        [
            "training/checkpoint.py", "kinds/train/kind.py", "execution/compute.py",
            "storage/cells.py", "storage/folder.py", "storage/checkpoint.py", "storage/objects.py",
        ],
    ),
    "a metric, to W&B": (
        "#CC79A7",
        [
            "execution/compute.py", "results/folder.py", "results/curves.py",
            "tracking/follower.py", "tracking/sinks.py",
        ],
    ),
}  # fmt: skip
"""What goes through the house -> its colour and the files that it passes, in order."""


def layers() -> list[list[str]]:
    """The packages of every layer, from the top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contract = project["tool"]["importlinter"]["contracts"][0]
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def text(x: float, y: float, words: str, size: int = 12, **style: str) -> str:
    """One line of text."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}"{more}>{escape(words)}</text>'


def picture() -> str:
    """The whole drawing."""
    rows = layers()
    row_of = {name: i for i, names in enumerate(rows) for name in names}
    width = LANES + STEP * (sum(len(files) for _, files in WALKS.values()) + 2 * len(WALKS))
    height = TOP + ROW * len(rows) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" '
        f'font-family="Helvetica, Arial, sans-serif" fill="{INK}">',
        f'<rect width="{width:g}" height="{height}" fill="white"/>',
        text(
            LEFT, 22, "Packages: each imports from the rows below it alone", 13, font_weight="bold"
        ),
        text(LANES, 22, "Walks: a dot for each file, in its package's row", 13, font_weight="bold"),
    ]
    for i, names in enumerate(rows):
        y, own = TOP + ROW * i, (LANES - LEFT - 30) / len(names)
        parts.append(
            f'<rect x="{LANES - 14}" y="{y}" width="{width - LANES + 6:g}" '
            f'height="{ROW - 6}" fill="{PALE if i % 2 else "white"}"/>'
        )
        for j, name in enumerate(names):
            x = LEFT + own * j
            parts.append(
                f'<rect x="{x:g}" y="{y}" width="{own - 8:g}" height="{ROW - 6}" rx="5" '
                f'fill="{PALE}" stroke="{INK}" stroke-width="0.7"/>'
            )
            one = len(names) == 1
            parts.append(text(x + 8, y + (23 if one else 15), name, 13, font_weight="bold"))
            parts.append(text(x + (108 if one else 8), y + (23 if one else 30), SAYS[name], 11))
    x = LANES
    for title, (color, files) in WALKS.items():
        dots = [
            (x + STEP * k, TOP + ROW * row_of[file.split("/")[0]] + (ROW - 6) / 2)
            for k, file in enumerate(files)
        ]
        words = title.split(", ")
        parts += [text(x - 4, 40 + 13 * k, line, 11, fill=color) for k, line in enumerate(words)]
        for (x1, y1), (x2, y2) in pairwise(dots):
            parts.append(
                f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{color}" '
                'stroke-width="2"/>'
            )
        parts += [f'<circle cx="{a:g}" cy="{b:g}" r="4.5" fill="{color}"/>' for a, b in dots]
        x += STEP * (len(files) + 2)
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture(), encoding="utf-8")
