"""Matched pairs: proposed on the contour, measured on fresh draws, moved until they fit.

The world here is known: difficulty is :func:`benchmarks.contours.surface`, plus what each kernel
draw adds, the same at all alphas (``match: mean``) or jumping between them (``match: per_seed``).
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest

from benchmarks.contours import BOUNDS, TARGET, Search2D, surface
from lrray.config import parse
from lrray.difficulty.level_set import LevelSet
from lrray.kinds.difficulty.matching import (
    FRESH_START,
    Evidence,
    Matching,
    Measured,
    Pair,
    Proposal,
    Request,
    match_mean,
    match_seed,
    propose,
)
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.kinds.pairs import FoundPair, Pairs
from tests.studies.small_study import STUDY

SPREAD = 0.03
"""Standard deviation between kernel draws."""


def study(**changes: Any) -> DifficultyStudy:
    ranges = {"distribution": "log_uniform", "low": 1e-3, "high": 1.0}
    nodes = [
        {"name": "Z1", "state_dim": 4, "parents": ["X"]},
        {"name": "X", "state_dim": 32, "parents": ["Z1"], "observed": True},
    ]
    data = {
        **STUDY, "graph": {"nodes": nodes}, "search_space": {"alpha_X": ranges, "alpha_Z": ranges},
        "target": {"value": TARGET, "tolerance": 0.01}, "seeds": 24,
        "pairs": {"num_seeds": 96, "max_rounds": 3}, **changes,
    }  # fmt: skip
    return parse(DifficultyStudy, data, "study")


@cache
def searched(seed: int) -> Search2D:
    return Search2D("level_set", seed, 32).run(32)


def evidence(seed: int = 0) -> Evidence:
    search = searched(seed)
    level_set = LevelSet(BOUNDS, TARGET)
    found = Evidence(
        level_set, np.array(search.points), np.array(search.values), np.full(32, 0.006)
    )
    found.fit()
    return found


def draw(seed: int, world: int, alphas: tuple[float, float] | None = None) -> float:
    """What kernel draw ``seed`` adds; with alphas, another amount at each of them."""
    place = 0 if alphas is None else zlib.crc32(repr(alphas).encode())
    return float(np.random.default_rng([world, seed, place]).normal(0, SPREAD))


def measure(request: Request, world: int, jumps: bool) -> Measured:
    mean = float(surface(np.array([request.alphas]))[0])
    where = request.alphas if jumps else None
    # Within one graph, other sequences change little.
    fresh = np.random.default_rng([world, request.start]).normal(0, 0.001, len(request.seeds))
    values = [mean + draw(seed, world, where) for seed in request.seeds] + fresh
    return {"gzip": np.array(values), "entropy_bits": np.array(values) * 3}


def drive(matching: Matching, world: int = 0, jumps: bool = False) -> list[list[Request]]:
    """Answers every request; returns them round by round."""
    rounds = []
    requests = next(matching, None)
    while requests is not None:
        rounds.append(requests)
        try:
            requests = matching.send([measure(request, world, jumps) for request in requests])
        except StopIteration:
            break
    return rounds


def truth(pair: Pair) -> float:
    return float(surface(np.array([pair.alphas]))[0])


def test_the_two_ends_of_the_contour_are_proposed() -> None:
    infer, predict = propose(evidence().level_set, along=0, seed=None).pairs
    assert (infer.name, predict.name) == ("easy_to_infer", "easy_to_predict")
    assert infer.alphas[0] == pytest.approx(0.0147, rel=0.15)  # where the curve meets alpha_Z = 1
    assert predict.alphas[1] == pytest.approx(0.0062, rel=0.2)  # where it meets alpha_X = 1
    for pair in (infer, predict):
        assert truth(pair) == pytest.approx(TARGET, abs=0.01)


def test_further_pairs_lie_spread_along_the_contour() -> None:
    pairs = propose(evidence().level_set, along=3, seed=None).pairs
    assert [pair.name for pair in pairs[2:]] == ["between_1", "between_2", "between_3"]
    between = np.log([pair.alphas for pair in pairs[2:]])
    assert len(np.unique(np.round(between, 1), axis=0)) == 3
    for pair in pairs:
        assert truth(pair) == pytest.approx(TARGET, abs=0.01)


def test_a_contour_that_is_not_met_gives_no_pair() -> None:
    level_set = LevelSet(BOUNDS, 0.99)
    search = Search2D("random", 0, 16).run(16)
    level_set.fit(np.array(search.points), np.array(search.values), np.full(16, 0.006))
    assert propose(level_set, along=2, seed=None) == Proposal([])
    assert drive(match_mean([], evidence(), study())) == []
    assert drive(match_seed([], study())) == []


def fitted(difficulty: Any) -> LevelSet:
    """The picture of a function of the unit square's two sides, measured on a dense grid."""
    axis = np.linspace(0, 1, 17)
    unit = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    level_set = LevelSet(BOUNDS, TARGET)
    level_set.fit(BOUNDS.from_unit(unit), TARGET + difficulty(*unit.T), np.full(len(unit), 1e-4))
    return level_set


def two_pieces(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Zero on a long line at the right and on a short one in the lower left corner."""
    return np.minimum(x + z - 0.3, 1.2 - x - 0.5 * z)


def test_all_pairs_lie_on_the_longest_piece_of_a_contour_of_several() -> None:
    proposal = propose(fitted(two_pieces), along=3, seed=None)
    assert proposal.note == "has 2 pieces; all pairs lie on the longest"
    places = BOUNDS.to_unit(np.array([pair.alphas for pair in proposal.pairs]))
    assert len(places) == 5
    np.testing.assert_allclose(places[:, 0] + 0.5 * places[:, 1], 1.2, atol=0.02)


def test_ends_that_nearly_coincide_are_no_pair() -> None:
    rising = propose(fitted(lambda x, z: z - x), along=0, seed=None)  # both alphas small at one end
    assert rising.pairs == []
    assert rising.note.startswith("has ends that nearly coincide (alphas differ by a factor of 1")
    tiny = propose(fitted(lambda x, z: np.hypot(x - 0.5, z - 0.5) - 0.06), along=2, seed=None)
    assert tiny.pairs == []
    assert tiny.note.startswith("is a closed curve and has ends that nearly coincide (alphas")


def test_the_pair_of_a_closed_contour_is_where_either_alpha_is_smallest() -> None:
    ring = propose(fitted(lambda x, z: np.hypot(x - 0.5, z - 0.5) - 0.3), along=0, seed=None)
    assert ring.note == "is a closed curve"
    places = BOUNDS.to_unit(np.array([pair.alphas for pair in ring.pairs]))
    np.testing.assert_allclose(places, [[0.2, 0.5], [0.5, 0.2]], atol=0.03)


def test_pairs_of_the_mean_are_measured_on_seeds_that_chose_nothing() -> None:
    found, settings = evidence(), study()
    rounds = drive(match_mean(propose(found.level_set, 2, None).pairs, found, settings))
    used = set(settings.seed_list)
    for number, requests in enumerate(rounds):
        (seeds,) = {request.seeds for request in requests}  # common random numbers
        (purpose,) = {request.purpose for request in requests}
        assert purpose == ("pair" if number else "correction")
        half = settings.pairs.num_seeds // 2
        assert len(seeds) == (settings.pairs.num_seeds if number else half)
        assert used.isdisjoint(seeds)
        used |= set(seeds)


def test_a_pair_is_moved_onto_the_contour_after_its_first_measurement() -> None:
    found = evidence()
    (pair,) = propose(found.level_set, 0, None).pairs[:1]
    pair.alphas = (pair.alphas[0] * 2, pair.alphas[1])  # a poor proposal
    assert abs(truth(pair) - TARGET) > 0.03
    pair.axis = 0
    drive(match_mean([pair], found, study()))
    assert truth(pair) == pytest.approx(TARGET, abs=0.01)
    assert pair.within(study())
    assert pair.rounds >= 2


def test_a_pair_that_never_fits_stops_after_its_rounds() -> None:
    impossible = study(target={"value": TARGET, "tolerance": 1e-9})
    found = evidence()
    pairs = propose(found.level_set, 0, None).pairs
    rounds = drive(match_mean(pairs, found, impossible))
    assert len(rounds) == impossible.pairs.max_rounds + 1
    assert not any(pair.within(impossible) for pair in pairs)


def test_what_is_reported_is_unbiased_and_as_exact_as_it_says() -> None:
    """Over many studies the reported values scatter around the truth by their standard errors."""
    misses = []
    for world in range(20):
        found = evidence(world % 4)
        pairs = propose(found.level_set, 0, None).pairs
        drive(match_mean(pairs, found, study()), world)
        misses += [
            (pair.value("gzip") - truth(pair)) / pair.standard_error("gzip") for pair in pairs
        ]
    assert abs(np.mean(misses)) < 3 / np.sqrt(len(misses))
    assert 0.7 < np.std(misses) < 1.3


@pytest.mark.parametrize("seed", range(5))
def test_a_seeds_own_graph_is_matched_by_trying_alphas_near_by(seed: int) -> None:
    pairs = propose(evidence().level_set, 0, seed).pairs
    settings = study(match="per_seed", seeds=[seed])
    rounds = drive(match_seed(pairs, settings), world=seed, jumps=True)
    for pair in pairs:
        assert pair.within(settings)
        assert pair.value("gzip") == pytest.approx(TARGET, abs=0.01)
        assert np.isnan(pair.standard_error("gzip"))  # one draw
    assert {request.seeds for requests in rounds for request in requests} == {(seed,)}


def test_a_seeds_own_graph_is_checked_on_sequences_that_chose_nothing() -> None:
    rounds = drive(match_seed(propose(evidence().level_set, 0, 1).pairs, study()), 1, jumps=True)
    tries, checks = rounds[0::2], rounds[1::2]
    assert {request.start for requests in tries for request in requests} == {FRESH_START}
    assert {request.start for requests in checks for request in requests} == {2 * FRESH_START}


def test_alphas_that_are_tried_stay_within_the_search_space() -> None:
    settings = study(match="per_seed", seeds=[1], target={"value": TARGET, "tolerance": 1e-9})
    rounds = drive(match_seed(propose(evidence().level_set, 0, 1).pairs, settings), 1, jumps=True)
    assert len(rounds) == 2 * settings.pairs.max_rounds
    places = np.array([request.alphas for requests in rounds for request in requests])
    assert (places >= settings.bounds.low).all()
    assert (places <= settings.bounds.high).all()


def test_a_pair_says_what_the_training_studies_need() -> None:
    pair = Pair("easy_to_infer", (0.001, 0.1), axis=1, seed=42)
    pair.measured = {"gzip": np.array([0.75]), "entropy_bits": np.array([2.5])}
    found = pair.found(study(), {"state_dim": 4}, "seed-42")
    row = {
        "state_dim": 4, "name": "easy_to_infer", "alpha_X": 0.001, "alpha_Z": 0.1, "seed": 42,
        "difficulty": 0.75, "difficulty_se": None, "gzip": 0.75, "gzip_se": None,
        "entropy_bits": 2.5, "entropy_bits_se": None, "num_seeds": 1, "within_tolerance": True,
        "search": "seed-42", "target": study().target.model_dump(),
    }  # fmt: skip
    assert found.to_row() == row
    assert list(found.to_row()) == list(row)
    assert FoundPair.from_row(row) == found
    read = Pairs.model_validate({"graph": study().graph.to_dict(), "pairs": [row]}).pairs[0]
    assert (read.name, read.alpha_X, read.alpha_Z, read.seed) == ("easy_to_infer", 0.001, 0.1, 42)
