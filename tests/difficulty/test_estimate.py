"""Estimates over kernel draws."""

import numpy as np
import pytest

from lrray.difficulty import compress_bits_per_token, gzip_difficulty
from lrray.difficulty.estimate import SampleSize, estimate, measure_draw, noise_ceiling
from lrray.difficulty.two_level import HANDFUL
from lrray.gssm import GSSM

SIZE = SampleSize(sequences=4, seq_len=512, entropy_sequences=2, compressors=("ppmd",))


def test_a_draw_is_measured_on_the_sequences_after_those_that_prime(published_graph):
    gssm = GSSM(published_graph.with_alphas(0.05, 0.01), 3)
    measures = measure_draw(gssm, SIZE)
    tokens = gssm.sample(
        12, 512, stream_seed=3
    )  # 8 sequences of 512 fill the window of 4,096 tokens
    assert measures["gzip"] == gzip_difficulty(tokens[8:], primer=tokens[:8])
    assert measures["ppmd"] == compress_bits_per_token(tokens[8:], "ppmd")
    bits = gssm.nll(tokens[8:10]).sum() / np.log(2) / (2 * 511)
    assert measures["entropy_bits"] == pytest.approx(bits)


def test_a_later_start_gives_fresh_sequences_of_the_same_graph(published_graph):
    gssm = GSSM(published_graph.with_alphas(0.05, 0.01), 3)
    later = SampleSize(sequences=4, seq_len=512, entropy_sequences=0, start=1000)
    assert measure_draw(gssm, later)["gzip"] != measure_draw(gssm, SIZE)["gzip"]
    assert "entropy_bits" not in measure_draw(gssm, later)


def test_mean_and_standard_error_are_over_seeds(published_graph):
    result = estimate(published_graph.with_alphas(0.05, 0.01), (5, 6, 7), SIZE)
    row = result.to_dict()
    values = np.array(row["per_seed"]["gzip"])
    assert row["gzip"] == pytest.approx(values.mean())
    assert row["gzip_se"] == pytest.approx(values.std(ddof=1) / np.sqrt(3))
    assert row["seeds"] == [5, 6, 7]


def test_the_same_seed_gives_the_same_number_wherever_it_is_measured(published_graph):
    graph = published_graph.with_alphas(0.05, 0.01)
    together = estimate(graph, (5, 6, 7), SIZE).values["gzip"]
    alone = estimate(graph, (6,), SIZE).values["gzip"]
    assert together[1] == alone[0]


def test_every_draw_reads_a_stream_of_its_own(published_graph):
    gssm = GSSM(published_graph.with_alphas(0.05, 0.01), 3)
    other = gssm.sample(12, 512, stream_seed=4)
    own = measure_draw(gssm, SIZE)["gzip"]
    assert own != gzip_difficulty(other[8:], primer=other[:8])


def test_of_many_draws_a_few_are_measured_at_level_9(published_graph):
    graph = published_graph.with_alphas(0.05, 0.01)
    size = SampleSize(sequences=4, seq_len=512, entropy_sequences=4)
    split = estimate(graph, range(30), size)
    whole = [measure_draw(GSSM(graph, seed), size)["gzip"] for seed in range(30)]
    assert HANDFUL <= split.level_9_draws < 30
    assert split.to_dict()["measured"] == {"level_9_draws": split.level_9_draws}
    apart = split.mean("gzip") - np.mean(whole)
    assert 0 < abs(apart) < 3 * split.standard_error("gzip") / 3  # the same draws: a small part
    assert split.standard_error("gzip") == pytest.approx(
        np.std(whole, ddof=1) / np.sqrt(30), rel=0.3
    )


def test_few_draws_and_draws_that_are_judged_one_by_one_are_measured_whole(published_graph):
    graph = published_graph.with_alphas(0.05, 0.01)
    few = estimate(graph, range(HANDFUL), SIZE)
    assert few.level_9_draws == HANDFUL
    size = SampleSize(sequences=1, seq_len=64, entropy_sequences=1, information=True)
    judged = estimate(graph, range(HANDFUL + 2), size)
    for seed in range(HANDFUL + 2):
        alone = measure_draw(GSSM(graph, seed), size)
        assert {name: judged.values[name][seed] for name in alone} == alone


def test_the_number_of_scored_sequences_follows_their_share_of_the_error(published_graph):
    graph = published_graph.with_alphas(0.05, 0.01)
    size = SampleSize(sequences=8, seq_len=256, entropy_sequences=8)
    bits = estimate(graph, range(10), size).values["entropy_bits"]
    gssm = GSSM(graph, 9)
    tokens = gssm.sample(24, 256, stream_seed=9)[16:]
    by_count = np.cumsum(gssm.nll(tokens) / np.log(2) / 255) / np.arange(1, 9)
    assert np.isclose(by_count, bits[9]).any()


def test_noise_ceiling_is_what_no_source_of_that_vocabulary_passes():
    assert noise_ceiling("entropy_bits", 32) == 5.0
    noise = np.random.default_rng(9).integers(32, size=40_000)
    assert gzip_difficulty(noise[4096:], noise[:4096]) == pytest.approx(
        noise_ceiling("gzip", 32), abs=0.01
    )
