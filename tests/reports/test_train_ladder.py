"""Ladders of pairs along a contour, and what of a difference n-grams explain."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrray.reports.train import report as train
from lrray.reports.train.comparisons import pair_names
from lrray.reports.train.decomposition import Decomposition, decompositions
from lrray.reports.train.ladder import ladder_figure, ladders, trigram_share
from lrray.results.groups import groups_of
from lrray.results.run import Run
from lrray.statistics import summarize
from lrray.studies.cell import Cell
from tests.reports.runs import new_run

ALPHAS = {"zeta": (0.001, 0.2), "mu": (0.02, 0.1), "beta": (0.1, 0.02), "alpha": (0.1, 0.001)}
"""Along the contour the alphabet runs backwards."""
PLACES = {
    name: (math.log(x / z) - math.log(0.005)) / math.log(100 / 0.005)
    for name, (x, z) in ALPHAS.items()
}
SEEDS = range(12)


def graph(name: str) -> dict[str, Any]:
    alpha_X, alpha_Z = ALPHAS[name]
    latents = [{"name": f"Z{i}", "state_dim": 2, "alpha": alpha_Z} for i in (1, 2)]
    observed = {"name": "X", "state_dim": 4, "alpha": alpha_X, "parents": ["Z1"], "observed": True}
    return {"nodes": [*latents, observed]}


def excess_of(name: str, seed: int, surrogate: int | None) -> float:
    noise = float(np.random.default_rng([seed, len(name), surrogate or 0]).normal(0, 0.01))
    return 0.2 + 0.1 * seed + (0.3 if surrogate else 0.9) * PLACES[name] + noise


def numbers(name: str, seed: int, surrogate: int | None) -> dict[str, float]:
    """Bounds are equal, what trigrams leave grows along the contour by half a bit."""
    excess = excess_of(name, seed, surrogate)
    unigram, bound, trigram = 4.8, 2.5, 3.0 + 0.5 * PLACES[name]
    loss = bound + excess
    return {
        "loss_bits": loss, "bound_bits": bound, "excess_bits": excess, "excess_bits_se": 0.01,
        "unigram_bits": unigram, "trigram_bits": trigram,
        "share_captured": (unigram - loss) / (unigram - bound),
        "share_beyond_trigram": (trigram - loss) / (trigram - bound),
    }  # fmt: skip


def fill(results: Path, of: Callable[..., dict[str, float]] = numbers, ends: bool = False) -> Run:
    folder = new_run(results, "latents", kind="train")
    names = ("zeta", "alpha") if ends else tuple(ALPHAS)
    both = [(name, None) for name in names] + [(name, 2) for name in ("zeta", "alpha")]
    for name, surrogate in both:
        for seed in SEEDS:
            settings = {"graph": graph(name), "graph_seed": 100 + seed, "seed": seed}
            settings |= {"train": {"steps": 10}, "model": {"hidden_size": 8}}
            settings |= {} if surrogate is None else {"surrogate": surrogate}
            axes = {"pair": name, "surrogate": surrogate, "seed": seed}
            cell = Cell("train", settings, axes, "c0de")
            folder.save_cell(cell, of(name, seed, surrogate), 1.0)
    return Run(folder.path)


def test_pairs_are_in_the_order_of_their_alphas_not_of_the_alphabet(tmp_path: Path) -> None:
    run = fill(tmp_path)
    groups = groups_of(run.wanted_records())
    assert pair_names(groups) == list(ALPHAS)
    (ladder,) = ladders(groups)
    assert ladder.places == pytest.approx(PLACES)
    answer = train.answer(run)
    assert "Excess loss of zeta minus that of alpha: " in answer
    assert "Along the contour from zeta to alpha (surrogate=none), 4 pairs" in answer


def test_the_slope_is_the_mean_of_the_seeds_own_slopes(tmp_path: Path) -> None:
    (ladder,) = ladders(groups_of(fill(tmp_path).wanted_records()))
    found = ladder.slope("excess_bits")
    x = list(PLACES.values())
    own = [np.polyfit(x, [excess_of(n, seed, None) for n in ALPHAS], 1)[0] for seed in SEEDS]
    assert found is not None
    assert found.slope.mean == pytest.approx(np.mean(own))
    assert found.slope.standard_error == pytest.approx(summarize(own).standard_error)
    assert found.slope.low < 0.9 < found.slope.high
    assert found.p_value == 2 / 2**12
    assert ladder.slope("nothing_of_that_name") is None


def test_at_equal_share_of_trigrams_nothing_remains_where_they_explain_all(tmp_path: Path) -> None:
    def noisy(name: str, seed: int, surrogate: int | None) -> dict[str, float]:
        """Excess follows what trigrams leave, which scatters along the contour."""
        own = numbers(name, seed, surrogate)
        rng = np.random.default_rng([seed, len(name)])
        own["trigram_bits"] += float(rng.normal(0, 0.2))
        return {**own, "excess_bits": own["trigram_bits"] - 2 + float(rng.normal(0, 0.01))}

    (ladder,) = ladders(groups_of(fill(tmp_path, noisy).wanted_records()))
    plain, held = ladder.slope("excess_bits"), ladder.slope("excess_bits", hold_ngrams=True)
    assert plain is not None
    assert held is not None
    assert plain.slope.low > 0.2
    assert held.slope.low < 0 < held.slope.high < 0.05
    record = ladder.rungs["zeta"].records[0]
    expected = (4.8 - record.result["trigram_bits"]) / 2.3
    assert trigram_share(record) == pytest.approx(expected)


def test_the_figure_has_all_pairs_in_order_and_a_line_for_each_seed(tmp_path: Path) -> None:
    (ladder,) = ladders(groups_of(fill(tmp_path).wanted_records()))
    drawn = ladder_figure(ladder)
    assert len(drawn.axes) == 3
    for axes in drawn.axes:
        assert [text.get_text() for text in axes.get_xticklabels()] == list(ALPHAS)
        assert len([line for line in axes.lines if line.get_color() == "#b8c0c8"]) == len(SEEDS)


def test_the_parts_of_a_difference_add_up_and_are_those_of_each_seed(tmp_path: Path) -> None:
    run = fill(tmp_path)
    (one,) = decompositions(groups_of(run.wanted_records()))
    total = [excess_of("zeta", s, None) - excess_of("alpha", s, None) for s in SEEDS]
    surrogates = [excess_of("zeta", s, 2) - excess_of("alpha", s, 2) for s in SEEDS]
    np.testing.assert_allclose(one.total, total)
    np.testing.assert_allclose(one.deficits, -0.5)
    np.testing.assert_allclose(one.surrogates, surrogates)
    np.testing.assert_allclose(one.rest, np.subtract(total, surrogates) + 0.5)
    (section,) = (part for part in train.sections(run) if part.title == "Latents or n-grams")
    rows = {row["part"]: row["zeta minus alpha"].mean for row in section.tables[0].rows}
    parts = rows["n-gram deficits"] + rows["order-2 surrogates"] + rows["rest"]
    assert rows["difference of excess"] == pytest.approx(parts)


def made(rest: float, beyond: float, scatter: float = 0.01) -> Decomposition:
    rng = np.random.default_rng(0)
    a, b, c, d = rng.normal(0, scatter, (4, 12))
    return Decomposition({}, "infer", "predict", rest - 0.8 + a, -0.5 + b, -0.3 + c, beyond + d)


@pytest.mark.parametrize(
    ("rest", "beyond", "preferred"),
    [
        (-0.2, 0.1, "infer"), (0.2, -0.1, "predict"),
        (-0.2, -0.1, None), (0.2, 0.1, None),  # they disagree
        (0.0, 0.1, None), (-0.2, 0.0, None),  # one interval holds 0
    ],
)  # fmt: skip
def test_a_preference_is_claimed_only_where_both_outcomes_agree(rest, beyond, preferred) -> None:
    one = made(rest, beyond)
    assert one.preferred == preferred
    claimed = f"Latents of the {preferred} pair are learnt better: rest "
    none = "No preference for a kind of latent was found: rest "
    assert (none if preferred is None else claimed) in one.in_words
    assert ("would have seen, in four of five runs, a rest of" in one.in_words) == (
        preferred is None
    )


def test_a_difference_that_ngrams_explain_claims_nothing_and_says_so(tmp_path: Path) -> None:
    def explained(name: str, seed: int, surrogate: int | None) -> dict[str, float]:
        own = numbers(name, seed, surrogate)
        extra = 0.0 if surrogate else own["trigram_bits"] - 3
        excess = 0.1 * seed + 0.3 * PLACES[name] + extra
        noise = float(np.random.default_rng([seed, len(name), surrogate or 0]).normal(0, 0.02))
        return {**own, "excess_bits": excess + noise}

    answer = train.answer(fill(tmp_path, explained, ends=True))
    assert "No preference for a kind of latent was found" in answer
    assert "n-gram deficits -0.500, order-2 surrogates -0." in answer


def test_without_any_difference_a_preference_is_claimed_in_few_runs() -> None:
    """Both 5 % tests must agree: simulated over scatter that ties the outcomes to each other."""
    rng, claimed, covered, runs = np.random.default_rng(1), 0, 0, 2000
    for _ in range(runs):
        latent = rng.normal(0, 0.1, 12)  # a worse model has more excess and a smaller share
        deficits, surrogates, noise = rng.normal(0, [[0.05]] * 3, (3, 12))
        total = latent + deficits + surrogates - 0.8
        one = Decomposition(
            {}, "infer", "predict", total, deficits - 0.5, surrogates - 0.3, noise - 2 * latent
        )
        claimed += one.preferred is not None
        covered += one.part("rest").low < 0 < one.part("rest").high
    assert 0.93 < covered / runs < 0.97
    assert claimed / runs < 0.06
