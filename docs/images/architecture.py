"""Draws ``architecture.svg``: ``python docs/images/architecture.py``."""

# ruff: noqa: E501  # a box or an arrow is one line

from __future__ import annotations

from html import escape
from pathlib import Path

WIDTH, HEIGHT = 1120, 690
INK, PALE = "#222222", "#8a8a8a"
ALPHA, TOKEN = "#D55E00", "#0072B2"

# x, y, width, height, title, lines below it
BOXES = {
    "yaml": (30, 60, 190, 74, "study file (YAML)", ["question, settings, grid,", "search_space"]),
    "cli": (270, 60, 190, 74, "lrray study", ["read, override, check:", "one line per mistake"]),
    "grid": (510, 60, 170, 74, "grid points", ["one checked study each", "studies/grid.py"]),
    "runner": (730, 60, 170, 74, "runner", ["cell_grid, difficulty.run", "cells still missing"]),
    "search": (930, 60, 160, 74, "search", ["Optuna and level set", "proposes parameters"]),
    "tune": (730, 200, 360, 62, "Ray Tune", ["places trials on the nodes; execution/tune.py, sources.py"]),
    "worker": (430, 200, 250, 62, "worker", ["attempts, limits, curves; worker.py"]),
    "cell": (30, 200, 350, 62, "run_cell(settings, context)", ["of the kind: difficulty, train, twohop, function"]),
    "gssm": (30, 345, 190, 84, "gssm", ["kernels from a seed", "sample: seeded streams", "nll: exact likelihood"]),
    "difficulty": (270, 345, 170, 84, "difficulty", ["compressed size, entropy", "level set: the contour"]),
    "models": (490, 345, 170, 84, "models", ["transformers, state space,", "recurrent; from a seed"]),
    "training": (710, 345, 190, 84, "training", ["batches, steps, loss,", "checkpoints, held-out"]),
    "twohop": (930, 345, 160, 84, "twohop", ["facts, questions,", "fine-tuning, grading"]),
    "folder": (30, 545, 410, 84, "results folder", ["cells/<id>.json · metrics · checkpoints · shared", "study.yaml · provenance.json · optuna.journal", "whole files, renamed into place: the only memory"]),
    "reports": (490, 545, 170, 84, "lrray report", ["one page, figures,", "tables"]),
    "board": (710, 545, 190, 84, "lrray board", ["live and read-only"]),
    "compare": (930, 545, 160, 84, "lrray compare", ["studies and sweeps,", "side by side"]),
}  # fmt: skip

BANDS = (
    (20, 30, 1080, 250, "studies: what is to be measured, and how it is run on Ray and survives"),
    (20, 315, 1080, 130, "the core: plain Python, runs in a notebook or under torchrun"),
    (20, 515, 1080, 130, "results and reports: read the folder, nothing else"),
)  # fmt: skip

# colour, points, label, where the label stands
ARROWS = (
    (ALPHA, [(220, 97), (270, 97)], "", (0, 0)),
    (ALPHA, [(460, 97), (510, 97)], "", (0, 0)),
    (ALPHA, [(680, 97), (730, 97)], "", (0, 0)),
    (ALPHA, [(930, 85), (900, 85)], "", (0, 0)),
    (PALE, [(900, 112), (930, 112)], "", (0, 0)),
    (ALPHA, [(815, 134), (815, 200)], "a cell: settings with their alpha_X, hashed to an id", (805, 170)),
    (ALPHA, [(730, 231), (680, 231)], "", (0, 0)),
    (ALPHA, [(430, 231), (380, 231)], "", (0, 0)),
    (ALPHA, [(125, 262), (125, 345)], "GraphConfig", (133, 303)),
    (PALE, [(300, 262), (300, 345)], "", (0, 0)),
    (PALE, [(340, 262), (340, 290), (805, 290), (805, 345)], "", (0, 0)),
    (PALE, [(805, 290), (1010, 290), (1010, 345)], "", (0, 0)),
    (TOKEN, [(220, 370), (270, 370)], "", (0, 0)),
    (TOKEN, [(60, 429), (60, 480), (870, 480), (870, 429)], "tokens: StreamSource, Prefetcher, Learner.step", (330, 474)),
    (TOKEN, [(170, 429), (170, 458), (770, 458), (770, 429)], "exact bound of the held-out tokens", (330, 452)),
    (TOKEN, [(710, 370), (660, 370)], "", (0, 0)),
    (TOKEN, [(660, 405), (710, 405)], "", (0, 0)),
    (PALE, [(35, 262), (24, 262), (24, 587), (30, 587)], "", (0, 0)),
    (PALE, [(440, 587), (490, 587)], "", (0, 0)),
    (PALE, [(440, 610), (465, 610), (465, 655), (805, 655), (805, 629)], "", (0, 0)),
    (PALE, [(805, 655), (1010, 655), (1010, 629)], "", (0, 0)),
)  # fmt: skip


def text(x: float, y: float, words: str, size: int = 13, **style: str) -> str:
    """One line of text."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x}" y="{y}" font-size="{size}"{more}>{escape(words)}</text>'


def picture() -> str:
    """The whole drawing."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="Helvetica, Arial, sans-serif" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><defs>',
    ]
    for color in (ALPHA, TOKEN, PALE):
        parts.append(
            f'<marker id="m{color[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{color}"/></marker>'
        )
    parts.append("</defs>")
    for x, y, width, height, name in BANDS:
        parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" fill="#f4f4f1"/>'
        )
        at = (350, y + 20) if name.startswith("the core") else (x + 10, y - 7)  # clear of arrows
        parts.append(text(*at, name, 13, fill="#555555", font_weight="bold"))
    for color, points, label, (x, y) in ARROWS:
        way = " ".join(f"{a},{b}" for a, b in points)
        parts.append(
            f'<polyline points="{way}" fill="none" stroke="{color}" '
            f'stroke-width="{1.5 if color == PALE else 2.5}" marker-end="url(#m{color[1:]})"/>'
        )
        if label:
            anchor = "end" if color == ALPHA and x > 700 else "start"
            parts.append(text(x, y, label, 12, fill=color, text_anchor=anchor))
    for x, y, width, height, title, lines in BOXES.values():
        parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="white" '
            f'stroke="{INK}"/>'
        )
        parts.append(text(x + 10, y + 21, title, 14, font_weight="bold"))
        parts += [text(x + 10, y + 40 + 16 * i, line, 12) for i, line in enumerate(lines)]
    for i, (color, words) in enumerate(
        ((ALPHA, "the way of alpha_X"), (TOKEN, "the way of a token"), (PALE, "everything else"))
    ):
        parts.append(
            f'<line x1="{30 + 190 * i}" y1="675" x2="{60 + 190 * i}" y2="675" stroke="{color}" '
            'stroke-width="3"/>'
        )
        parts.append(text(68 + 190 * i, 679, words, 12))
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture(), encoding="utf-8")
