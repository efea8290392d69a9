"""The level-set search on functions whose contour is known in closed form."""

import numpy as np
import pytest

from lrray.difficulty.level_set import (
    SHARED,
    SHARED_OVER,
    Bounds,
    LevelSet,
    pooled_errors,
    startup_points,
)

BOUNDS = Bounds((1e-3, 1e-3), (1.0, 1.0))
TARGET = 0.5


def ramp(points):
    """Rises along log(alpha_X) + log(alpha_Z); equals 0.5 where their product is 1e-3."""
    return 1 / (1 + np.exp(-1.2 * (np.log10(points).sum(axis=1) + 3)))


def searched(num_points, noise, seed=0):
    rng = np.random.default_rng(seed)
    points = startup_points(BOUNDS, 8, seed)
    values = ramp(points) + rng.normal(0, noise, 8)
    level_set = LevelSet(BOUNDS, TARGET)
    for _ in range(num_points - 8):
        level_set.fit(points, values, np.full(len(values), noise))
        point = level_set.next_point(np.empty((0, 2)), rng)
        points = np.vstack([points, point])
        values = np.append(values, ramp(point[None]) + rng.normal(0, noise))
    level_set.fit(points, values, np.full(len(values), noise))
    return level_set, points


def test_unit_square_maps_back_to_the_last_digit_at_the_bounds():
    corners = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert BOUNDS.from_unit(corners).tolist() == [[1e-3, 1.0], [1.0, 1e-3]]
    inner = np.array([[0.01, 0.3]])
    assert BOUNDS.from_unit(BOUNDS.to_unit(inner)) == pytest.approx(inner)


def test_contour_lies_on_the_true_level_set_and_runs_from_edge_to_edge():
    level_set, _ = searched(32, noise=0.005)
    contour = level_set.contours()[0]
    products = contour.points.prod(axis=1)
    assert np.abs(np.log(products / 1e-3)).max() < 0.15
    ends = contour.points[[0, -1]]
    assert ends.min() == pytest.approx(1e-3)
    assert ends.max() > 0.9


def test_band_covers_the_true_contour_nearly_everywhere():
    inside = []
    for seed in range(10):
        level_set, _ = searched(28, noise=0.01, seed=seed)
        contour = level_set.contours()[0]
        # distance to the line alpha_X * alpha_Z = 1e-3, across it
        distance = np.abs(np.log(contour.points.prod(axis=1) / 1e-3)) / np.sqrt(2)
        inside.append((distance <= contour.half_width).mean())
    assert np.mean(inside) > 0.85


def test_band_covers_the_true_contour_where_near_points_share_their_kernel_draws():
    def covered(seed, noise=0.01):
        rng = np.random.default_rng(seed)
        points = startup_points(BOUNDS, 28, seed)
        apart = np.log(points)[:, None] - np.log(points)[None]
        shared = SHARED * np.exp(-0.5 * (apart**2).sum(axis=2) / SHARED_OVER**2)
        shared[np.diag_indices(28)] = 1
        values = ramp(points) + noise * rng.multivariate_normal(np.zeros(28), shared)
        level_set = LevelSet(BOUNDS, TARGET)
        level_set.fit(points, values, np.full(28, noise))
        contour = level_set.contours()[0]
        distance = np.abs(np.log(contour.points.prod(axis=1) / 1e-3)) / np.sqrt(2)
        return (distance <= contour.half_width).mean()

    assert np.mean([covered(seed) for seed in range(80)]) == pytest.approx(0.95, abs=0.03)


def test_search_spends_its_trials_near_the_level_set():
    _, points = searched(40, noise=0.005)
    late = np.abs(ramp(points[20:]) - TARGET)
    early = np.abs(ramp(points[:8]) - TARGET)
    assert np.median(late) < 0.5 * np.median(early)


def test_running_trials_are_not_proposed_again():
    level_set, _ = searched(16, noise=0.005)
    first = level_set.next_point(np.empty((0, 2)), np.random.default_rng(3))
    second = level_set.next_point(first[None], np.random.default_rng(3))
    assert np.abs(np.log(second / first)).max() > 0.1


@pytest.mark.parametrize(("axis", "fixed"), [(0, 0.05), (1, 0.2)])
def test_solving_for_one_alpha_meets_the_level_set(axis, fixed):
    level_set, _ = searched(32, noise=0.002)
    start = np.array([fixed, fixed])
    solved = level_set.solve(start, axis)
    assert solved is not None
    assert solved[1 - axis] == pytest.approx(fixed)
    assert solved[axis] == pytest.approx(1e-3 / fixed, rel=0.1)
    assert level_set.posterior(solved[None])[0][0] == pytest.approx(TARGET, abs=1e-4)


def test_a_target_that_is_never_met_has_no_contour():
    points = startup_points(BOUNDS, 16, 0)
    level_set = LevelSet(BOUNDS, target=2.0)
    level_set.fit(points, ramp(points), np.full(16, 0.001))
    assert level_set.contours() == []
    assert level_set.solve(points[0], 0) is None


def test_unknown_standard_errors_are_learned_from_the_scatter():
    rng = np.random.default_rng(0)
    points = startup_points(BOUNDS, 64, 0)
    values = ramp(points) + rng.normal(0, 0.03, 64)
    level_set = LevelSet(BOUNDS, TARGET)
    level_set.fit(points, values, np.full(64, np.nan))
    mean, deviation = level_set.posterior(points)
    assert 0.001 < deviation.mean() < 0.03
    assert np.abs(mean - ramp(points)).mean() < 0.02


def fitted(function):
    """The picture of a function of the unit square's two sides, measured on a dense grid."""
    axis = np.linspace(0, 1, 17)
    unit = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    level_set = LevelSet(BOUNDS, TARGET)
    level_set.fit(BOUNDS.from_unit(unit), TARGET + function(*unit.T), np.full(len(unit), 1e-4))
    return level_set


SIDE = np.log(1e3)
"""Length of a side of the searched square in log units of alpha."""


def test_a_line_from_edge_to_edge_is_one_open_piece():
    (piece,) = fitted(lambda x, z: x + z - 1).contours()
    assert not piece.closed
    assert piece.length == pytest.approx(np.sqrt(2) * SIDE, rel=0.01)
    np.testing.assert_allclose(BOUNDS.to_unit(piece.end(0)), [0, 1], atol=0.01)
    np.testing.assert_allclose(BOUNDS.to_unit(piece.end(1)), [1, 0], atol=0.01)


def test_a_ring_is_one_closed_piece():
    (piece,) = fitted(lambda x, z: np.hypot(x - 0.5, z - 0.5) - 0.3).contours()
    assert piece.closed
    assert piece.length == pytest.approx(0.6 * np.pi * SIDE, rel=0.02)
    np.testing.assert_allclose(BOUNDS.to_unit(piece.end(0)), [0.2, 0.5], atol=0.03)


def test_pieces_come_longest_first_whatever_their_number_of_points():
    pieces = fitted(lambda x, z: np.minimum(x + z - 0.3, 1.2 - x - 0.5 * z)).contours()
    assert [piece.closed for piece in pieces] == [False, False]
    lengths = [piece.length / SIDE for piece in pieces]
    assert lengths == pytest.approx([np.hypot(0.3, 0.6), 0.3 * np.sqrt(2)], rel=0.1)


def test_points_between_cut_a_piece_into_equal_stretches():
    (piece,) = fitted(lambda x, z: x + z - 1).contours()
    between = BOUNDS.to_unit(piece.between(3))
    rising = between[np.argsort(between[:, 0])]
    np.testing.assert_allclose(rising, [[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]], atol=0.01)
    assert piece.between(0).shape == (0, 2)


def test_the_surfaces_deviation_is_the_half_width_times_the_slope():
    level_set, _ = searched(32, noise=0.01)
    alpha_x, alpha_z, mean, deviation = level_set.surface(161)
    piece = level_set.contours()[0]
    slope = np.hypot(*np.gradient(mean, np.log(alpha_z), np.log(alpha_x)))
    for point, half_width in zip(piece.points[5:-5], piece.half_width[5:-5], strict=True):
        at = np.abs(alpha_z - point[1]).argmin(), np.abs(alpha_x - point[0]).argmin()
        assert 1.96 * deviation[at] / slope[at] == pytest.approx(half_width, rel=0.1)


def test_measurements_on_other_draws_share_no_error():
    points = np.full((2, 2), 0.03) * [[1.0, 1.0], [1.0, 1.01]]
    level_set = LevelSet(BOUNDS, TARGET)
    around = np.vstack([startup_points(BOUNDS, 12, 0), points])
    errors = np.full(14, 0.02)

    def deviation(draws):
        level_set.fit(around, ramp(around), errors, np.array([0] * 13 + [draws]))
        return level_set.posterior(points[:1])[1][0]

    assert deviation(1) < 0.98 * deviation(0)


def test_an_outlier_does_not_weigh_its_own_trial():
    unit = np.array([[0.5, 0.5], [0.52, 0.5], [0.5, 0.52], [0.9, 0.1]])
    pooled = pooled_errors(unit, np.array([0.004, 0.004, 0.012, 0.001]))
    assert pooled[:3] == pytest.approx([0.0077] * 3, rel=0.05)
    assert pooled[3] == pytest.approx(0.001, rel=0.05)
    assert pooled_errors(unit, np.zeros(4)).tolist() == [0, 0, 0, 0]


def test_parameters_of_many_measurements_are_learned_once():
    points = startup_points(BOUNDS, 70, 0)
    level_set = LevelSet(BOUNDS, TARGET)
    kept = []
    for count in (66, 70):
        level_set.fit(points[:count], ramp(points[:count]), np.full(count, 0.01))
        kept.append(level_set._process.parameters)
    assert kept[0] == kept[1]
