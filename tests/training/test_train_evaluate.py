"""Losses on the held-out set against the exact bound."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lrray.gssm import GSSM
from lrray.training import heldout as heldout_module
from lrray.training.distributed import Workers
from lrray.training.evaluate import Evaluation, by_octave, evaluate
from lrray.training.heldout import make_heldout
from lrray.training.loop import train

ALONE = Workers(0, 1, torch.device("cpu"))


class Unigram(nn.Module):
    """The same probabilities at every step."""

    def __init__(self, probabilities):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(probabilities).log())

    def forward(self, tokens):
        return self.logits.expand(*tokens.shape, -1)


def test_loss_accuracy_and_excess_are_their_definitions(gssm):
    heldout = make_heldout(gssm, 20, 16)
    found = evaluate(Unigram([0.1, 0.2, 0.3, 0.4]), heldout, ALONE, batch_size=7)
    targets = heldout.tokens[:, 1:]
    loss = -np.log2(np.array([0.1, 0.2, 0.3, 0.4]))[targets]
    bound = gssm.nll(heldout.tokens) / 15 / math.log(2)
    excess = loss.mean(axis=1) - bound
    assert found.loss_bits == pytest.approx(loss.mean())
    assert found.accuracy == pytest.approx((targets == 3).mean())
    assert found.bound_bits == pytest.approx(bound.mean())
    assert found.excess_bits == pytest.approx(excess.mean())
    assert found.excess_bits_se == pytest.approx(excess.std(ddof=1) / math.sqrt(20))
    np.testing.assert_allclose(found.loss_by_position_bits, loss.mean(axis=0), rtol=1e-6)


class Exact(nn.Module):
    """The Bayes-optimal predictions."""

    def __init__(self, gssm):
        super().__init__()
        self.gssm = gssm

    def forward(self, tokens):
        longer = np.pad(tokens.numpy(), ((0, 0), (0, 1)))
        return torch.from_numpy(self.gssm.next_token(longer)).log()


def test_tables_of_ngrams_are_scored_on_the_same_tokens(telling):
    heldout = make_heldout(telling, 40, 16)
    for order in (0, 2):
        table = telling.markov_surrogate(order).nll(heldout.tokens).sum() / (40 * 15)
        assert heldout.ngram_nats[order] == pytest.approx(table)


def test_unigrams_capture_nothing_and_the_exact_predictions_everything(telling):
    heldout = make_heldout(telling, 200, 16)
    table = telling.markov_surrogate(0).tables[0][0]
    unigrams = evaluate(Unigram(table.tolist()), heldout, ALONE, batch_size=64)
    assert unigrams.share_captured == pytest.approx(0, abs=1e-5)
    assert unigrams.share_beyond_trigram < 0
    exact = evaluate(Exact(telling), heldout, ALONE, batch_size=64)
    assert exact.share_captured == pytest.approx(1, abs=1e-5)
    assert exact.share_beyond_trigram == pytest.approx(1, abs=1e-4)
    trigrams = evaluate(Exact(telling.markov_surrogate(2)), heldout, ALONE, batch_size=64)
    assert trigrams.share_beyond_trigram == pytest.approx(0, abs=1e-4)
    share = trigrams.share_captured
    left = trigrams.ngram_bits[0] - trigrams.bound_bits
    assert share == pytest.approx((trigrams.ngram_bits[0] - trigrams.loss_bits) / left)
    assert 0 < share < 1
    metrics = trigrams.metrics()
    assert metrics["share_captured"] == share
    assert metrics["trigram_bits"] == trigrams.ngram_bits[2]
    assert metrics["late_loss_bits"] == pytest.approx(trigrams.loss_by_position_bits[-1])


def test_the_last_tenth_of_positions_is_counted_in_whole_positions():
    losses = Evaluation(1.0, 0.5, np.arange(37.0))
    assert losses.late_loss_bits == 35.0  # of 34, 35, 36


def test_what_no_ngram_leaves_has_no_share(telling):
    surrogate = telling.markov_surrogate(2)
    found = evaluate(Unigram([0.1, 0.2, 0.3, 0.4]), make_heldout(surrogate, 20, 16), ALONE, 8)
    assert found.share_captured is not None
    assert found.share_beyond_trigram is None
    assert "share_beyond_trigram" not in found.metrics()


def test_tables_that_take_too_long_and_graphs_without_a_bound_have_no_shares(telling, monkeypatch):
    monkeypatch.setattr(heldout_module, "_MAX_NGRAM_SIZE", 4 * 4)
    small = make_heldout(telling, 8, 16)
    assert list(small.ngram_nats) == [0]
    nodes = [{**node.model_dump(), "mode": "context"} for node in telling.graph.nodes]
    context = make_heldout(GSSM.from_config({"nodes": nodes}, seed=1), 8, 16)
    found = evaluate(Unigram([0.1, 0.2, 0.3, 0.4]), context, ALONE, batch_size=8)
    assert (found.share_captured, found.share_beyond_trigram) == (None, None)
    assert "share_captured" not in found.metrics()


def test_octaves_pool_positions():
    pooled = by_octave(np.arange(1.0, 7.0))
    assert pooled == {"1": 1.0, "2-3": 2.5, "4-6": 5.0}


def test_the_held_out_set_is_the_same_for_every_run_and_the_bound_is_kept(tmp_path, gssm):
    first = make_heldout(gssm, 8, 16, tmp_path)
    (kept,) = tmp_path.iterdir()
    np.save(kept, first.bound_nats * (1 + 1e-12))  # shows that the file is what is read next
    second = make_heldout(gssm, 8, 16, tmp_path)
    np.testing.assert_array_equal(first.tokens, second.tokens)
    np.testing.assert_array_equal(second.bound_nats, first.bound_nats * (1 + 1e-12))
    make_heldout(GSSM(gssm.graph, 2), 8, 16, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("harm", ["cut", "constant", "last sequence", "shape"])
def test_a_kept_bound_that_is_not_the_likelihoods_is_made_again(tmp_path, gssm, harm):
    first = make_heldout(gssm, 8, 16, tmp_path)
    (kept,) = tmp_path.iterdir()
    bound = first.bound_nats.copy()
    if harm == "cut":
        kept.write_bytes(kept.read_bytes()[:50])
    elif harm == "constant":
        np.save(kept, np.full((8, 15), 2.0))
    elif harm == "last sequence":
        bound[-1] += 1e-6
        np.save(kept, bound)
    else:
        np.save(kept, bound[:, 1:])
    for _ in range(2):
        again = make_heldout(gssm, 8, 16, tmp_path)
        np.testing.assert_array_equal(again.bound_nats, first.bound_nats)
    np.testing.assert_array_equal(np.load(kept), first.bound_nats)


def test_the_bound_of_other_tokens_of_the_same_graph_is_not_taken(tmp_path, gssm):
    make_heldout(gssm, 8, 16, tmp_path)
    other = GSSM(gssm.graph, gssm.seed)
    other.kernels = GSSM(gssm.graph, 2).kernels  # as a version that draws in another order has them
    found = make_heldout(other, 8, 16, tmp_path)
    np.testing.assert_array_equal(found.bound_nats, other.nll(found.tokens, per_token=True))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_context_graph_has_losses_but_no_bound(gssm, make_model, make_config):
    nodes = gssm.graph.to_dict()["nodes"]
    graph = {"nodes": [{**nodes[0], "mode": "context"}, nodes[1]]}
    result = train(make_model(), GSSM.from_config(graph, 1), make_config(steps=2))
    assert math.isfinite(result.evaluation.loss_bits)
    assert result.evaluation.excess_bits is None
    assert "bound_bits" not in result.metrics


@pytest.mark.slow
@pytest.mark.parametrize("type_", ["llama", "mingru", "lstm"])
def test_excess_goes_to_zero_where_a_model_can_learn_the_graph(
    gssm, make_model, make_config, type_
):
    config = make_config(
        steps=1500, batch_size=64, learning_rate=3e-3, schedule="cosine", eval_sequences=2048,
        log_every=100, eval_every=500,
    )  # fmt: skip
    reports = []
    model = make_model(type=type_, hidden_size=32, num_hidden_layers=2)
    found = train(model, gssm, config, report=reports.append).evaluation
    assert found.excess_bits < 0.005
    for report in reports:
        if "excess_bits" in report:  # no model beats the bound
            assert report["excess_bits"] > -3 * report["excess_bits_se"]
