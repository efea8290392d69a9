"""The gap of a loss matrix, its interval and its p value: closed forms, and simulated truth."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from lrray.statistics import sign_flip_p_value, summarize
from lrray.twohop.matrix import LossMatrix, permutation_p_value

PAGE = Path(__file__).parents[2] / "docs/twohop.md"


def made(nats: object, own: object = None) -> LossMatrix:
    losses = np.asarray(nats, float)
    column = np.arange(len(losses)) if own is None else np.asarray(own)
    return LossMatrix(
        people=tuple(f"P{i}" for i in range(len(losses))),
        answers=tuple(f"A{j}" for j in range(losses.shape[1])),
        own=column,
        right=column[:, None] == np.arange(losses.shape[1]),
        in_name=np.zeros(len(losses), bool),
        nats=losses,
    )


def simulated(
    rng: np.random.Generator, gap: float, people: int = 20, answers: int | None = None
) -> LossMatrix:
    """Answers differ by 2 nats in how likely they are, questions by 0.5, single losses by 0.5."""
    count = answers or people
    own = rng.permutation(np.arange(people) % count)
    matrix = made(np.zeros((people, count)), own)
    nats = 5 + 2 * rng.normal(size=count) + 0.5 * rng.normal(size=(people, 1))
    nats = nats + 0.5 * rng.normal(size=(people, count)) - gap * matrix.right
    return replace(matrix, nats=nats)


def test_of_different_answers_the_gap_is_the_mean_off_the_diagonal_less_that_on_it() -> None:
    nats = np.random.default_rng(0).normal(size=(6, 6))
    off = (nats.sum() - np.trace(nats)) / 30
    assert made(nats).person_gaps().mean() == pytest.approx(off - np.trace(nats) / 6)


@pytest.mark.parametrize("answers", [2, 3, 7, 20])
def test_what_questions_and_answers_cost_by_themselves_is_no_gap(answers: int) -> None:
    own = np.arange(20) % answers
    costs = np.arange(20.0)[:, None] ** 1.5 + np.arange(answers) ** 2
    matrix = made(costs, own)
    assert matrix.person_gaps() == pytest.approx(np.zeros(20), abs=1e-9)
    with_gap = replace(matrix, nats=costs - 0.7 * matrix.right)
    assert with_gap.person_gaps().mean() == pytest.approx(0.7)


def test_p_is_the_share_of_all_permutations_that_are_as_extreme() -> None:
    nats = np.random.default_rng(3).normal(size=(5, 5)) - 1.5 * np.eye(5)
    traces = [sum(nats[i, order[i]] for i in range(5)) for order in permutations(range(5))]
    distances = np.abs(np.array(traces) - np.mean(traces))
    exact = np.mean(distances >= abs(np.trace(nats) - np.mean(traces)) - 1e-12)
    assert permutation_p_value([made(nats)]) == pytest.approx(exact, abs=0.01)


def test_models_of_several_seeds_are_permuted_each_by_itself() -> None:
    rng = np.random.default_rng(1)
    weak = [simulated(rng, 0.25) for _ in range(6)]
    alone = [permutation_p_value([matrix]) for matrix in weak]
    assert permutation_p_value(weak) == pytest.approx(1e-4)
    assert np.median(alone) > 0.001
    assert max(alone) > 0.05


def test_answers_that_were_not_scored_cannot_be_permuted() -> None:
    nats = np.zeros((3, 3))
    nats[0, 2] = math.nan
    assert not made(nats).is_complete
    with pytest.raises(ValueError, match="only where each was scored"):
        permutation_p_value([made(nats)])


def test_another_pairing_has_no_gap_where_only_the_own_was_learnt() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        matrix = simulated(rng, 1.0)
        other = dict(zip(matrix.people, rng.permutation(matrix.answers), strict=True))
        found.append(matrix.placebo_gap(other))
    around = summarize(found)
    assert abs(around.mean) < 3 * around.standard_error
    assert around.standard_error < 0.02


def test_what_ties_names_to_answers_before_any_training_shows_in_the_placebo() -> None:
    nats, shift = np.zeros((8, 8)), np.roll(np.arange(8), 1)
    nats[np.arange(8), shift] -= 0.4
    matrix = made(nats)
    own = {person: matrix.answers[j] for person, j in zip(matrix.people, shift, strict=True)}
    assert matrix.placebo_gap(own) == pytest.approx(0.4, rel=0.2)


def test_a_placebo_leaves_out_answers_that_are_right_here_or_unknown() -> None:
    matrix = made(np.zeros((3, 3)))
    assert matrix.placebo_gap({"P0": "A0", "P1": "elsewhere", "somebody": "A2"}) is None


def test_a_matrix_survives_the_result_of_a_cell() -> None:
    nats = np.random.default_rng(2).normal(size=(4, 3))
    nats[1, 2] = math.nan
    before = made(nats, [0, 1, 0, 2])
    after = LossMatrix.from_plain(before.to_plain())
    assert after.nats == pytest.approx(nats, abs=1e-6, nan_ok=True)
    assert (after.right == before.right).all()
    assert (after.people, after.answers) == (before.people, before.answers)


RUNS = 4000


def shares(gap: float, answers: int | None = None) -> dict[str, float]:
    """How often each test finds a gap at 0.05, and how often the interval holds the true one."""
    rng = np.random.default_rng([int(100 * gap), answers or 0])
    permuted, flipped, covered = [], [], []
    for run in range(RUNS):
        matrix = simulated(rng, gap, answers=answers)
        wrong = np.ma.masked_array(matrix.square, matrix.right[:, matrix.own])
        naive = (wrong.mean(axis=1) - np.diagonal(matrix.square)).filled(0.0)
        permuted.append(permutation_p_value([matrix], run, 999) <= 0.05)
        flipped.append(sign_flip_p_value(naive, run, 999) <= 0.05)
        interval = summarize(matrix.person_gaps())
        covered.append(interval.low <= gap <= interval.high)
    means = [float(np.mean(values)) for values in (permuted, flipped, covered)]
    return dict(zip(("permutation", "sign flips", "interval"), means, strict=True))


@pytest.mark.slow
def test_permutations_find_what_sign_flips_miss_and_the_docs_say_how_often() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for answers in (20, 5):
        none, some = shares(0.0, answers), shares(0.3, answers)
        for found in (none, some):
            assert found["interval"] == pytest.approx(0.95, abs=0.025)
        assert none["permutation"] == pytest.approx(0.05, abs=0.02)
        assert some["permutation"] > 3 * some["sign flips"]
        for gap, found in ((0, none), (0.3, some)):
            cells = " | ".join(f"{value:.1%}" for value in found.values())
            assert f"| {gap} | {answers} | {cells} |" in page
