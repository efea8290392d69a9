"""Curves as they are read: points of a step are one, and what a resume draws again counts once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrray.results.curves import CurveFile, curve_of, read_points


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cell.jsonl"


def log(path: Path, *points: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(point) + "\n" for point in points)


def test_a_loss_and_an_evaluation_of_one_step_are_one_point(path: Path) -> None:
    log(path, {"step": 10, "train": 3.0}, {"step": 20, "train": 2.0}, {"step": 20, "eval": 2.5})
    log(path, {"step": 30, "train": 1.0})
    points = read_points(path)
    assert points[1] == {"step": 20, "train": 2.0, "eval": 2.5}
    assert curve_of(points, "train") == [(10, 3.0), (20, 2.0), (30, 1.0)]
    assert curve_of(points, "eval") == [(20, 2.5)]


def test_a_step_that_goes_back_drops_what_is_drawn_again_and_no_more(path: Path) -> None:
    log(path, *({"step": step, "train": 9.0} for step in (10, 20, 30, 40)))
    # From a checkpoint of step 20, written after its loss and before its evaluation.
    log(path, {"step": 20, "eval": 0.5}, {"step": 30, "train": 1.0})
    assert read_points(path) == [
        {"step": 10, "train": 9.0},
        {"step": 20, "train": 9.0, "eval": 0.5},
        {"step": 30, "train": 1.0},
    ]


def test_points_without_a_step_are_numbered(path: Path) -> None:
    log(path, {"loss": 3.0}, {"loss": float("nan")}, {"loss": 1.0})
    assert curve_of(read_points(path), "loss") == [(0, 3.0), (2, 1.0)]


def test_lines_that_are_no_points_are_passed_over(path: Path) -> None:
    log(path, {"step": 1, "loss": 3.0})
    with path.open("a") as file:
        file.write('[1, 2]\n{"step": 2, "lo\n\nnull\n{"step": "text", "loss": 2.0}\n')
        file.write('{"step": NaN}\n{"step": 3')
    assert read_points(path) == [{"step": 1, "loss": 3.0}]


def test_a_file_that_became_shorter_is_read_anew(path: Path) -> None:
    log(path, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0})
    file = CurveFile(path)
    file.refresh()
    path.write_text("")
    log(path, {"step": 1, "loss": 5.0})
    file.refresh()
    assert file.points == [{"step": 1, "loss": 5.0}]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab")), max_size=30), st.data())
def test_reading_a_file_as_it_grows_gives_what_reading_it_at_once_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("curves") / "cell.jsonl"
    file = CurveFile(path)
    content = "".join(json.dumps({"step": s, name: i}) + "\n" for i, (s, name) in enumerate(steps))
    cut = data.draw(st.integers(0, len(content)))
    for part in (content[:cut], content[cut:]):
        with path.open("a") as out:
            out.write(part)
        file.refresh()
    assert file.points == read_points(path)
    assert [point["step"] for point in file.points] == sorted({p["step"] for p in file.points})
