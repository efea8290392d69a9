"""What the board's chart draws is what the curves hold."""

import numpy as np
import pytest

from lrray.reports.board.chart import options
from lrray.reports.board.lines import MOST_LINES, MOST_SEEDS, View, chosen, lines


def _points(offset=0.0, steps=range(0, 50, 10)):
    return [
        {"step": s, "loss": offset + 1 / (1 + s), "tokens": 100 * s, "time": 1e9 + s / 2}
        for s in steps
    ]


CELLS = {
    f"{model}{seed}": _points(offset + 0.1 * seed)
    for model, offset in (("b", 2.0), ("a", 1.0))
    for seed in range(3)
}
AXES = {name: {"settings.model": name[0], "seed": int(name[1])} for name in CELLS}


def test_every_cell_is_a_line_named_by_what_tells_it_from_the_others():
    drawn = lines(CELLS, AXES, View("loss"))
    assert [line.name for line in drawn][:2] == ["model=b seed=0", "model=b seed=1"]
    assert drawn[1].points == [(s, pytest.approx(2.1 + 1 / (1 + s))) for s in range(0, 50, 10)]
    assert all(line.band is None for line in drawn)


def test_cells_that_differ_in_their_seed_alone_are_one_line_with_its_standard_error():
    first, second = lines(CELLS, AXES, View("loss", grouped=True))
    assert (first.name, second.name) == ("model=a (n = 3)", "model=b (n = 3)")
    values = np.array([1.0, 1.1, 1.2]) + 1 / 11
    low, high = first.band
    assert first.points[1] == (10, pytest.approx(values.mean()))
    error = values.std(ddof=1) / np.sqrt(3)
    assert (low[1][1], high[1][1]) == pytest.approx((values.mean() - error, values.mean() + error))


def test_a_single_seed_has_no_band():
    [line] = lines({"a0": CELLS["a0"]}, AXES, View("loss", grouped=True))
    assert line.band is None


@pytest.mark.parametrize(
    ("over", "at_ten"), [("tokens", 1000.0), ("seconds", 5.0), ("FLOPs", 7000.0)]
)
def test_a_curve_can_be_drawn_over_tokens_seconds_and_flops(over, at_ten):
    [line] = lines({"a0": CELLS["a0"]}, AXES, View("loss", over), {"a0": 7.0})
    assert line.points[1][0] == at_ten


def test_over_flops_only_cells_that_have_them_are_drawn():
    drawn = lines(CELLS, AXES, View("loss", "FLOPs"), {"a1": 7.0})
    assert len(drawn) == 1


def test_lines_of_one_value_of_an_axis_have_one_colour_and_their_own_dash():
    drawn = options(lines(CELLS, AXES, View("loss", hue="settings.model")), View("loss"), False)
    looks = [(s["color"], s["lineStyle"]["type"]) for s in drawn["series"]]
    assert len(set(looks)) == 6
    assert len({color for color, _ in looks}) == 2


def test_smoothing_leaves_a_constant_as_it_is_and_averages_the_rest():
    level = {"a0": [{"step": s, "loss": 3.0} for s in range(5)]}
    [line] = lines(level, AXES, View("loss", smoothing=0.9))
    assert [y for _, y in line.points] == pytest.approx([3.0] * 5)
    jump = {"a0": [{"step": 0, "loss": 0.0}, {"step": 1, "loss": 1.0}]}
    [line] = lines(jump, AXES, View("loss", smoothing=0.5))
    assert line.points[1][1] == pytest.approx(2 / 3)  # (0.5 · 1 + 0.25 · 0) / 0.75


def test_a_band_is_drawn_piece_by_piece_between_its_edges():
    drawn = options(lines(CELLS, AXES, View("loss", grouped=True)), View("loss"), False)
    mean, band = drawn["series"][:2]
    assert (mean["type"], band["type"]) == ("line", "custom")
    for piece, here, there in zip(band["data"], mean["data"], mean["data"][1:], strict=False):
        assert [piece[0], piece[3]] == [here[0], there[0]]
        assert (piece[1] + piece[2]) / 2 == pytest.approx(here[1])
        assert (piece[4] + piece[5]) / 2 == pytest.approx(there[1])
        assert piece[1] < piece[2]


def test_a_logarithmic_scale_leaves_out_what_is_not_positive():
    points = {"a0": [{"step": 0, "loss": -1.0}, {"step": 1, "loss": 1.0}]}
    drawn = options(lines(points, AXES, View("loss")), View("loss"), True)
    assert drawn["series"][0]["data"] == [[1.0, 1.0]]


def test_of_many_cells_no_more_are_read_than_are_drawn():
    ids = [f"{i:04}" for i in range(5_000)]
    axes = {name: {"rate": int(name) % 50, "seed": int(name) // 50} for name in ids}
    assert len(chosen(ids, axes, False)) == MOST_LINES
    kept = chosen(ids, axes, True)
    assert len(kept) == MOST_LINES * MOST_SEEDS
    assert len({axes[name]["rate"] for name in kept}) == MOST_LINES


def test_damaged_points_and_unknown_cells_are_left_out():
    points = {"x": [{"step": 1}, {"loss": "much"}, {"step": 2, "loss": None}], "y": []}
    assert lines(points, {}, View("loss", grouped=True)) == []
    [line] = lines({"abcdefghij": [{"loss": 1.0}]}, {}, View("loss"))
    assert line.name == "abcdefgh"
