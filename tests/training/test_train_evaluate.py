"""Losses on the held-out set against the exact bound."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from lrray.gssm import GSSM
from lrray.training import heldout as heldout_module
from lrray.training.dataset import write_dataset
from lrray.training.distributed import Workers
from lrray.training.evaluate import Evaluation, by_octave, evaluate, score
from lrray.training.heldout import ExactLaws, Heldout, make_heldout, validation_tokens
from lrray.training.loop import train
from lrray.training.streams import stream_seed

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


def every_sequence(gssm, seq_len):
    """All sequences, the exact laws on them, and the probability of each."""
    tails = itertools.product(range(gssm.vocab_size), repeat=seq_len - 1)
    tokens = np.array([(0, *tail) for tail in tails], np.uint8)
    laws = ExactLaws(np.arange(len(tokens)), slice(None), gssm.next_token(tokens))
    nll = gssm.nll(tokens, per_token=True)
    return Heldout(tokens, nll, laws=laws), np.exp(-nll.sum(axis=1))


@pytest.mark.parametrize("model", ["constant", "learned"])
def test_kl_is_the_expectation_of_the_excess_over_all_sequences(telling, make_model, model):
    heldout, probability = every_sequence(telling, 5)
    assert probability.sum() == pytest.approx(1)
    network = Unigram([0.1, 0.2, 0.3, 0.4]) if model == "constant" else make_model()
    found = score(network, heldout.tokens, ALONE.device, 50, laws=heldout.laws)
    excess = found.loss.numpy() - heldout.bound_nats
    # At every position: the chain rule of the divergence between the laws of sequences.
    np.testing.assert_allclose(
        probability @ found.kl.numpy(), probability @ excess, rtol=1e-5, atol=1e-7
    )


def test_kl_is_nothing_for_the_exact_predictions_and_said_by_position(telling):
    heldout = make_heldout(telling, 40, 16)
    exact = evaluate(Exact(telling), heldout, ALONE, batch_size=7)
    assert exact.kl_bits == pytest.approx(0, abs=1e-6)
    wrong = evaluate(Unigram([0.1, 0.2, 0.3, 0.4]), heldout, ALONE, batch_size=7)
    law = telling.next_token(heldout.tokens)
    kl = (law * np.log2(law / np.array([0.1, 0.2, 0.3, 0.4]))).sum(axis=2)
    np.testing.assert_allclose(wrong.kl_by_position_bits, kl.mean(axis=0), rtol=1e-5)
    assert wrong.kl_bits == pytest.approx(kl.mean(), rel=1e-5)
    assert wrong.kl_bits_se == pytest.approx(kl.mean(axis=1).std(ddof=1) / math.sqrt(40), rel=1e-4)
    assert abs(wrong.kl_bits - wrong.excess_bits) < 4 * wrong.excess_bits_se
    assert wrong.metrics()["kl_by_position_bits"] == by_octave(wrong.kl_by_position_bits)


def test_exact_laws_are_kept_on_as_many_sequences_as_fit(telling, gssm, monkeypatch):
    monkeypatch.setattr(heldout_module, "_MAX_LAW_NUMBERS", 15 * 4 * 10)
    some = make_heldout(telling, 40, 16)
    assert list(some.laws.rows) == list(range(0, 40, 4))
    np.testing.assert_array_equal(some.laws.probabilities, telling.next_token(some.tokens[::4]))
    found = evaluate(Unigram([0.1, 0.2, 0.3, 0.4]), some, ALONE, batch_size=7)
    kl = np.log2(some.laws.probabilities / np.array([0.1, 0.2, 0.3, 0.4]))
    assert found.kl_bits == pytest.approx(
        (some.laws.probabilities * kl).sum(axis=2).mean(), rel=1e-5
    )
    monkeypatch.setattr(heldout_module, "_MAX_LAW_WORK", 15 * 4 * 4 * 7)
    none = make_heldout(telling, 40, 16)
    assert none.laws is None
    left_out = evaluate(Unigram([0.1, 0.2, 0.3, 0.4]), none, ALONE, batch_size=7)
    assert "kl_bits" not in left_out.metrics()
    assert left_out.excess_bits == found.excess_bits


@pytest.mark.parametrize("num_workers", [2, 5])
def test_workers_share_the_exact_laws(telling, num_workers):
    whole = make_heldout(telling, 40, 16).laws
    parts = []
    for rank in range(num_workers):
        workers = Workers(rank, num_workers, torch.device("cpu"))
        parts.append(heldout_module._exact_laws(telling, whole_tokens(telling), workers))
    assert all(np.array_equal(part.rows, whole.rows) for part in parts)
    np.testing.assert_array_equal(
        np.concatenate([part.probabilities for part in parts]), whole.probabilities
    )


def whole_tokens(gssm):
    return make_heldout(gssm, 40, 16).tokens


def test_the_best_step_is_chosen_on_sequences_that_are_neither_trained_on_nor_held_out(
    tmp_path, telling, make_model, make_config
):
    """Few sequences are memorised: the end is worse than a step before."""
    path = tmp_path / "data.h5"
    write_dataset(path, telling, 8, 16)
    config = make_config(
        steps=300, num_train_sequences=8, learning_rate=0.02, eval_every=20, log_every=100,
        eval_sequences=64,
    )  # fmt: skip
    reports = []

    def model():
        return make_model(hidden_size=32)

    found = train(model(), telling, config, dataset=path, report=reports.append)
    evaluated = {r["step"]: r for r in reports if "validation_loss_bits" in r}
    assert list(evaluated) == list(range(20, 301, 20))
    step = min(evaluated, key=lambda s: evaluated[s]["validation_loss_bits"])
    best = found.best.metrics()
    assert best["best_step"] == step < 300
    for name in ("loss_bits", "excess_bits", "kl_bits", "share_captured", "late_loss_bits"):
        assert best[f"best_{name}"] == evaluated[step][name]
    assert best["best_excess_bits"] < found.evaluation.excess_bits - 0.1

    validation = validation_tokens(telling, 64, 64)  # so long that none is another's by chance
    others = make_heldout(telling, 64, 64).tokens, telling.sample(64, 64, stream_seed("train", 0))
    for tokens in others:
        assert not set(map(bytes, validation)) & set(map(bytes, tokens))

    asked = iter([False] * (step + 30) + [True])
    run_dir = tmp_path / "run"
    train(model(), telling, config, dataset=path, run_dir=run_dir, should_stop=lambda: next(asked))
    again = train(model(), telling, config, dataset=path, run_dir=run_dir)
    assert again.best == found.best


def test_the_held_out_loss_chooses_among_steps_on_infinite_data(gssm, make_model, make_config):
    """With so large a learning rate the loss comes back up."""
    reports = []
    config = make_config(steps=60, eval_every=5, learning_rate=0.5)
    found = train(make_model(), gssm, config, report=reports.append)
    evaluated = {r["step"]: r["loss_bits"] for r in reports if "loss_bits" in r}
    assert len(evaluated) == 12
    assert found.best.step == min(evaluated, key=evaluated.get) < 60
    assert found.best.metrics()["best_loss_bits"] == min(evaluated.values())
    assert not any("validation_loss_bits" in report for report in reports)


def test_a_run_that_is_evaluated_at_its_end_alone_has_no_best_step(gssm, make_model, make_config):
    found = train(make_model(), gssm, make_config(steps=2))
    assert found.best is None
    assert "validation_loss_bits" not in found.metrics


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
