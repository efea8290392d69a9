"""Kernel draws accepted one by one, and how the studies that train on them name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrray.config import load_yaml, parse
from lrray.difficulty.estimate import SampleSize, measure_draw
from lrray.errors import LrrayError
from lrray.gssm import GSSM
from lrray.kinds.difficulty.draws import BOUND, DRAWS_PER_ROUND, INFORMATION, Acceptance
from lrray.kinds.difficulty.matching import FRESH_START, Measured, Pair, Request
from lrray.kinds.difficulty.results import outcomes
from lrray.kinds.difficulty.run import DifficultyProgram
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.kinds.pairs import Pairs
from lrray.kinds.train.data import task
from lrray.kinds.train.kind import Study
from lrray.statistics import summarize
from lrray.studies.load import shipped_folder
from lrray.training.heldout import heldout_tokens
from tests.studies.small_study import STUDY, run, write

TARGET, SPREAD, NOISE = 2.0, 0.1, 0.02
DRAWS: dict[str, Any] = {
    "match": "per_draw", "entropy_sequences": 2,
    "target": {"metric": "entropy_bits", "value": 1.5, "tolerance": 0.5},
    "pairs": {"along": 1, "num_draws": 3, "window_bits": 0.3, "max_draws": 200},
}  # fmt: skip


def study(**pairs: Any) -> DifficultyStudy:
    data = {**STUDY, **DRAWS, "target": {"metric": "entropy_bits", "value": TARGET}}
    data["pairs"] = {"num_draws": 12, "window_bits": 0.07, **pairs}
    return parse(DifficultyStudy, data, "study")


def truth(request: Request, metric: str) -> np.ndarray:
    """The bound falls short at the first point by a whole deviation; information is its mirror."""
    draws = [np.random.default_rng([s, int(1e6 * request.alphas[0])]) for s in request.seeds]
    own = np.array([rng.normal(0, SPREAD, 2) for rng in draws])
    level = TARGET - (SPREAD if request.alphas[0] < 0.1 else 0)
    return level + own[:, 0] if metric == BOUND else 4.8 - level + own[:, 1]


def drive(acceptance: Acceptance, lost: int | None = None) -> list[list[Request]]:
    """Answers every request with the truth and noise; the cell of draw ``lost`` fails."""
    rounds: list[list[Request]] = []
    matching = acceptance.match()
    requests = next(matching, None)
    while requests is not None:
        rounds.append(requests)
        answers: list[Measured] = []
        for request in requests:
            rng = np.random.default_rng([len(rounds), request.start, len(request.seeds)])
            own = {
                metric: truth(request, metric) + rng.normal(0, NOISE, len(request.seeds))
                for metric in (BOUND, INFORMATION)
            }
            missing = np.array([seed == lost for seed in request.seeds])
            answers.append({k: np.where(missing, np.nan, v) for k, v in own.items()})
        try:
            requests = matching.send(answers)
        except StopIteration:
            break
    return rounds


def points() -> list[Pair]:
    return [Pair("easy_to_infer", (0.01, 0.5), 0), Pair("easy_to_predict", (0.5, 0.01), 1)]


def test_every_accepted_draw_meets_bound_and_information_on_fresh_sequences() -> None:
    acceptance = Acceptance(points(), study())
    rounds = drive(acceptance)
    for drawn in acceptance.drawn:
        assert [pair.for_seed for pair in drawn.accepted] == list(range(12))
        for pair in drawn.accepted:
            request = Request(pair.alphas, (pair.seed or 0,))
            for metric, target in ((BOUND, TARGET), (INFORMATION, acceptance.information_bits)):
                assert abs(pair.value(metric) - target) <= 0.07
                assert abs(truth(request, metric)[0] - target) < 0.07 + 5 * NOISE
    starts = [{request.start for request in requests} for requests in rounds]
    assert starts == [{0}, {FRESH_START}] * (len(rounds) // 2)


def test_pairs_of_accepted_draws_are_equal_where_their_means_are_not() -> None:
    """The first point's mean lies a deviation below the target, its accepted draws do not."""
    acceptance = Acceptance(points(), study())
    drive(acceptance)
    first, second = (
        summarize([truth(Request(p.alphas, (p.seed or 0,)), BOUND)[0] for p in drawn.accepted])
        for drawn in acceptance.drawn
    )
    assert abs(first.mean - second.mean) < 0.05 < SPREAD


def test_draws_that_found_the_contour_and_those_whose_cell_failed_are_not_accepted() -> None:
    settings = study()
    acceptance = Acceptance(points(), settings)
    rounds = drive(acceptance)
    tried = {seed for requests in rounds for request in requests for seed in request.seeds}
    assert tried.isdisjoint(settings.seed_list)
    lost = acceptance.drawn[1].accepted[3].seed
    again = Acceptance(points(), settings)
    drive(again, lost)
    assert lost not in [pair.seed for drawn in again.drawn for pair in drawn.accepted]


def test_trying_ends_where_too_few_draws_match() -> None:
    acceptance = Acceptance(points(), study(window_bits=1e-4, max_draws=100))
    drive(acceptance)
    assert [drawn.tried for drawn in acceptance.drawn] == [2 * DRAWS_PER_ROUND] * 2
    assert max(len(drawn.accepted) for drawn in acceptance.drawn) < 12


def test_information_is_what_training_calls_so() -> None:
    graph = parse(DifficultyStudy, STUDY, "study").graph.with_alphas(0.1, 0.1)
    gssm = GSSM(graph, 3)
    size = SampleSize(8, 64, entropy_sequences=8, information=True)
    measured = measure_draw(gssm, size)
    tokens = gssm.sample(8 + size.primer_sequences, 64, stream_seed=3)[size.primer_sequences :]
    bits = [model.nll(tokens).mean() / 63 / np.log(2) for model in (gssm.markov_surrogate(0), gssm)]
    assert measured["information_bits"] == pytest.approx(bits[0] - bits[1])
    assert measured["entropy_bits"] == pytest.approx(bits[1])


def test_a_target_that_has_no_exact_bound_is_refused() -> None:
    for changes, said in (
        ({"target": {"metric": "gzip"}}, "must be entropy_bits with match: per_draw"),
        (
            {"match": "mean", "target": {**DRAWS["target"], "information_bits": 2}},
            "match: per_draw",
        ),
    ):
        with pytest.raises(LrrayError, match=said):
            parse(DifficultyStudy, {**STUDY, **DRAWS, **changes}, "study")


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was run by its command."""
    folder = tmp_path_factory.mktemp("accepted")
    done = run(folder, write(folder, **DRAWS))
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "Kernel draws accepted for an exact bound within 0.3 of 1.5 and information" in said
    assert "easy-to-infer minus easy-to-predict, information_bits:" in said
    (results,) = (folder / "results/small").glob("2*")
    return results


def test_a_study_trains_on_exactly_the_accepted_draws(accepted: Path) -> None:
    rows = load_yaml(accepted / "pairs.yaml")["pairs"]
    names = ("easy_to_infer", "easy_to_predict", "between_1")
    assert [(row["name"], row["for_seed"]) for row in rows] == [
        (name, i) for name in names for i in range(3)
    ]
    for row in rows:
        data = {
            "kind": "train", "question": "?", "hypothesis": "!", "pair": row["name"],
            "pairs": load_yaml(accepted / "pairs.yaml"), "seed": row["for_seed"],
            "train": {"steps": 1},
        }  # fmt: skip
        settings = parse(Study, data, "study").cell_settings()
        assert settings["graph_seed"] == row["seed"]
        assert settings["seed"] == row["for_seed"]
        gssm, _ = task(settings)
        assert gssm.identity()["graph_seed"] == row["seed"]
        # The sequences that were measured again.
        tokens = gssm.sample(2, 256, stream_seed=row["seed"], start=FRESH_START + 16)
        assert gssm.nll(tokens).mean() / 255 / np.log(2) == pytest.approx(row["entropy_bits"])


def test_seeds_beyond_the_accepted_draws_are_refused(accepted: Path) -> None:
    pairs = parse(Pairs, load_yaml(accepted / "pairs.yaml"), "pairs")
    draw = pairs.pairs[1].seed
    assert pairs.choose("easy_to_infer", seed=99, graph_seed=draw).for_seed == 1
    data = {"pairs": load_yaml(accepted / "pairs.yaml"), "seed": 3, "train": {"steps": 1}}
    with pytest.raises(LrrayError, match=r"has a kernel draw for, but got 3 \(fix: one of 0, 1, 2"):
        parse(Study, {"kind": "train", "question": "?", "hypothesis": "!", **data}, "study")


def test_the_summary_takes_the_draws_of_a_pair_together(accepted: Path) -> None:
    summary = json.loads((accepted / "summary.json").read_text())
    (outcome,) = outcomes(summary)
    assert [pair.num_seeds for pair in outcome.shown] == [3, 3, 3]
    first = [pair.measured[BOUND][0] for pair in outcome.pairs[:3]]
    assert outcome.shown[0].measured[BOUND][0] == pytest.approx(np.mean(first))
    assert outcome.complete
    summary["points"][0]["draws"][0]["accepted"] = 2
    assert not DifficultyProgram.is_complete(summary)


def test_the_shipped_draws_are_as_equal_as_they_say_on_held_out_sequences() -> None:
    """Those that the studies of the first question train on, on the tokens of their evaluation."""
    data = load_yaml(shipped_folder("studies") / "pairs/three_latents_draws.yaml")
    pairs = parse(Pairs, data, "pairs")
    assert len(pairs.pairs) == 5 * 14
    for pair, row in list(zip(pairs.pairs, data["pairs"], strict=True))[::7]:
        assert pair.seed is not None
        gssm = GSSM(pairs.graph_with_alphas(pair), pair.seed)
        tokens = heldout_tokens(gssm, 512, 64)
        bound, unigram = (
            model.nll(tokens, per_token=True).mean() / np.log(2)
            for model in (gssm, gssm.markov_surrogate(0))
        )
        assert bound == pytest.approx(row["entropy_bits"], abs=0.06)
        assert bound == pytest.approx(2.57, abs=0.12)
        assert unigram - bound == pytest.approx(2.2, abs=0.12)


def test_alphas_that_a_graph_gives_are_kept_or_refused(accepted: Path) -> None:
    data = load_yaml(accepted / "pairs.yaml")
    two = [{"name": "Z1", "state_dim": 4, "alpha": 0.5}, {"name": "Z2", "state_dim": 4}]
    observed = {"name": "X", "state_dim": 8, "parents": ["Z1", "Z2"], "observed": True}
    pair = {"name": "one", "alpha_X": 0.1, "alpha_Z": 0.2}
    pairs = parse(Pairs, {"graph": {"nodes": [*two, observed]}, "pairs": [pair]}, "pairs")
    graph = pairs.graph_with_alphas(pairs.pairs[0])
    assert {node.name: node.alpha for node in graph.nodes} == {"Z1": 0.5, "Z2": 0.2, "X": 0.1}
    for nodes in (data["graph"]["nodes"],):
        nodes[1]["alpha"] = 0.05
        given = {"pairs": data, "train": {"steps": 1}, "question": "?", "hypothesis": "!"}
        with pytest.raises(
            LrrayError, match="gives every alpha that alpha_X would set, other than"
        ):
            parse(Study, {"kind": "train", **given}, "study")
        with pytest.raises(LrrayError, match="must leave alpha out of a node that alpha_X can set"):
            parse(DifficultyStudy, {**STUDY, "graph": data["graph"]}, "study")
