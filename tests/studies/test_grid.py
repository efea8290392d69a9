"""Grids of settings: axes, zip, exclude, scales, overrides, and every way to get them wrong."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lrray.errors import LrrayError
from lrray.kinds.function import Study
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.runs.grid import GridProgram
from lrray.runs.plan import plan
from lrray.runs.show import show
from lrray.studies.cell import make_cell
from lrray.studies.grid import axis_values, expand
from lrray.studies.load import read_study

BASE = {
    "kind": "function",
    "question": "q",
    "hypothesis": "h",
    "function": "tests.studies.grid_cells:any_settings",
}


def axes(grid):
    return [dict(point.axes) for point in expand({**BASE, "grid": grid}, Study, "f.yaml")]


@pytest.mark.parametrize(
    ("grid", "points"),
    [
        (
            {"seed": [0], "settings.a": [1], "also": [{"seed": [0, 1]}, {"settings.a": [1]}]},
            [
                {"seed": 0, "settings.a": 1},
                {"seed": 0, "settings.a": None},
                {"seed": 1, "settings.a": None},
            ],
        ),
        (
            {"also": [{"seed": [3], "settings.b": ["r"]}, {"settings.b": ["s"]}], "seed": [0, 1]},
            [
                {"seed": 0, "settings.b": None},
                {"seed": 1, "settings.b": None},
                {"seed": 3, "settings.b": "r"},
                {"seed": 0, "settings.b": "s"},  # the seed that a study has by default
            ],
        ),
        ({"seed": [3, 1]}, [{"seed": 3}, {"seed": 1}]),
        ({"seed": {"start": 0, "stop": 6, "step": 2}}, [{"seed": 0}, {"seed": 2}, {"seed": 4}]),
        (
            {"settings.a": ["x", "y"], "seed": [0, 1]},
            [
                {"settings.a": "x", "seed": 0},
                {"settings.a": "x", "seed": 1},
                {"settings.a": "y", "seed": 0},
                {"settings.a": "y", "seed": 1},
            ],
        ),
        (
            {"zip": [{"settings.a": [1, 2], "settings.b": [10, 20]}], "seed": [0]},
            [
                {"settings.a": 1, "settings.b": 10, "seed": 0},
                {"settings.a": 2, "settings.b": 20, "seed": 0},
            ],
        ),
        (
            {"seed": [0, 1], "settings.a": [1, 2], "exclude": [{"settings.a": 2, "seed": 1}]},
            [
                {"seed": 0, "settings.a": 1},
                {"seed": 0, "settings.a": 2},
                {"seed": 1, "settings.a": 1},
            ],
        ),
    ],
)
def test_a_grid_expands_to_its_points(grid, points):
    assert sorted(map(str, map(sorted, map(dict.items, axes(grid))))) == sorted(
        map(str, map(sorted, map(dict.items, points)))
    )


def test_every_point_carries_its_resolved_study():
    points = expand({**BASE, "grid": {"settings.a": [1, 2], "seed": [5]}}, Study, "f.yaml")
    assert [(p.study.settings["a"], p.study.seed) for p in points] == [(1, 5), (2, 5)]
    assert points[0].label == "settings.a=1 seed=5"


def test_a_study_without_a_grid_is_one_point():
    (point,) = expand(BASE, Study, "f.yaml")
    assert point.label == ""
    assert dict(point.axes) == {}


@given(
    st.dictionaries(
        st.sampled_from(["seed", "settings.a", "settings.b", "settings.c"]),
        st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True),
        min_size=1,
    )
)
def test_the_number_of_points_is_the_product_of_the_axes(grid):
    expected = 1
    for values in grid.values():
        expected *= len(values)
    points = axes(grid)
    assert len(points) == expected
    assert len({tuple(sorted(point.items())) for point in points}) == expected


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            {},
            "f.yaml: grid: must name at least one axis, but got {} (fix: seed: [0, 1, 2])",
        ),
        (
            {"seed": []},
            "f.yaml: grid.seed: must be a list or a range of values, but got [] (fix: [0, 1, 2])",
        ),
        (
            {"seed": 3},
            "f.yaml: grid.seed: must be a list or a range of values, but got 3 (fix: [0, 1, 2])",
        ),
        (
            {"seed": [1, 1]},
            "f.yaml: grid.seed: values must be distinct, but got [1, 1] (fix: name each once)",
        ),
        (
            {"seed": {"start": 0}},
            "f.yaml: grid.seed: a range needs whole numbers, but got {'start': 0} "
            "(fix: {start: 0, stop: 6})",
        ),
        (
            {"seed": {"start": 0, "stop": 4, "step": 0}},
            "f.yaml: grid.seed: a range's step must not be 0 (fix: leave it out)",
        ),
        (
            {"zip": [{"seed": [1], "settings.a": [1, 2]}]},
            "f.yaml: grid.zip[0]: axes that move together need equal lengths, "
            "but got {'seed': 1, 'settings.a': 2}",
        ),
        (
            {"seed": [1], "zip": [{"seed": [1]}]},
            "f.yaml: grid: an axis may stand only once, but got 'seed' (fix: name it once)",
        ),
        (
            {"seed": [1], "exclude": [{"sed": 1}]},
            "f.yaml: grid.exclude[0]: 'sed' is not an axis (fix: did you mean 'seed'?)",
        ),
        (
            {"seed": [1], "exclude": [{"seed": 1}]},
            "f.yaml: grid: must keep at least one point (fix: exclude fewer)",
        ),
        (
            {"seed": [1], "exclude": {"seed": 1}},
            "f.yaml: grid.exclude: must be a list of mappings, but got {'seed': 1} "
            "(fix: - {axis: value})",
        ),
        (
            {"sed": [1, 2]},
            "f.yaml: unknown key 'sed' (fix: did you mean 'seed'?)",
        ),
        (
            {"kind.x": [1]},
            "f.yaml: grid.kind.x: is no part of a cell: all points would be one",
        ),
    ],
)
def test_a_wrong_grid_is_told_in_one_line(grid, message):
    with pytest.raises(LrrayError) as error:
        axes(grid)
    assert str(error.value) == message


def test_a_range_counts_down_too():
    assert axis_values({"start": 3, "stop": 0, "step": -1}, "x") == [3, 2, 1]


@pytest.fixture
def scaled_study(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "kind: function\nscale: large\nsettings: {steps: 1000, width: 8}\n"
        "grid: {seed: [0, 1, 2], settings.rate: [0.1, 0.2]}\n"
        "scales:\n  large: {}\n  small: {settings: {steps: 10}, grid: {settings.rate: [0.1]}}\n"
    )
    return str(path)


def test_a_scale_is_laid_over_the_settings_key_by_key(scaled_study):
    data, _ = read_study(scaled_study, ["scale=small"])
    assert data["settings"] == {"steps": 10, "width": 8}
    assert data["grid"] == {"seed": [0, 1, 2], "settings.rate": [0.1]}
    assert "scales" not in data
    assert read_study(scaled_study)[0]["settings"]["steps"] == 1000


def test_an_override_goes_over_the_scale_and_replaces_axes(scaled_study):
    words = ["scale=small", "settings.rate=[0.3, 0.4]", "seed=7", "settings.steps=20"]
    data, _ = read_study(scaled_study, words)
    assert data["grid"] == {"seed": [7], "settings.rate": [0.3, 0.4]}
    assert data["settings"]["steps"] == 20


def test_an_unknown_scale_names_the_closest(scaled_study):
    with pytest.raises(LrrayError, match=r"scale: must name one of its scales, but got 'smal'"):
        read_study(scaled_study, ["scale=smal"])


@pytest.mark.parametrize(("width", "numbers"), [(32, 1), (45, 2), (200, 12)])
def test_the_table_shows_as_many_numbers_as_the_terminal_is_wide(width, numbers):
    row = {"rate": 0.1, "seeds": 3} | {f"number_{i:02}": i / 7 for i in range(12)}
    summary = {
        "means": [row], "axes": ["rate", "seed"], "kind": "function", "cells": 1, "done": 1,
        "stopped": 0, "failures": [], "best": [], "without_result": [],
    }  # fmt: skip
    console = Console(width=width, file=io.StringIO())
    show(summary, console)
    assert GridProgram.is_complete(summary)
    header = console.file.getvalue().splitlines()[1]
    assert header.split()[:2] == ["rate", "seeds"]
    assert len(header.split()) == 2 + numbers


def test_only_cells_like_the_planned_ones_tell_how_long_these_take(tmp_path):
    def points(steps, *seeds):
        data = {**BASE, "settings": {"steps": steps}, "grid": {"seed": list(seeds)}}
        return expand(data, Study, "f.yaml")

    folder = RunFolder.create(tmp_path, "study")
    for point in points(10, 0, 1):
        folder.save_cell(make_cell(point.study, point.axes), {}, seconds=4.0)
    known = KnownCells.of(folder)
    like = plan(points(10, 1, 2, 3), folder, known)
    assert (like.rows["done already"], like.cell_seconds) == (1, 8.0)
    assert like.source == "2 cells of an earlier run"
    assert plan(points(1000, 1, 2, 3), folder, known).cell_seconds is None


def test_without_measured_cells_the_study_itself_tells_how_long_they_take():
    data = {**BASE, "resources": {"cell_minutes": 2}, "grid": {"seed": [0, 1, 2]}}
    guessed = plan(expand(data, Study, "f.yaml"), None, KnownCells())
    assert (guessed.cell_seconds, guessed.source) == (360, "cell_minutes in the study")
