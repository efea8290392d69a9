"""Markov surrogates are trained on as the graphs that they are made of."""

import h5py
import numpy as np
import pytest

from lrray.errors import LrrayError
from lrray.training.dataset import open_dataset, write_dataset
from lrray.training.heldout import make_heldout
from lrray.training.identity import run_identity
from lrray.training.loop import train
from lrray.training.streams import StreamSource


def test_a_model_that_sees_enough_tokens_comes_near_the_surrogates_bound(
    telling, make_model, make_config
):
    surrogate = telling.markov_surrogate(1)
    config = make_config(steps=400, batch_size=32, learning_rate=0.02, eval_sequences=512)
    result = train(make_model(hidden_size=16), surrogate, config)
    evaluation = result.evaluation
    entropy = telling.ngram_entropy(1)
    assert evaluation.bound_by_position_bits[1:].mean() == pytest.approx(entropy, abs=0.03)
    assert 0 < evaluation.excess_bits < 0.1
    unigrams = telling.ngram_entropy(0) - entropy
    assert evaluation.excess_bits < unigrams / 2


def test_training_and_held_out_sequences_are_the_surrogates_own(gssm):
    surrogate = gssm.markov_surrogate(2)
    heldout = make_heldout(surrogate, 20, 16)
    np.testing.assert_allclose(heldout.bound_nats, surrogate.nll(heldout.tokens, per_token=True))
    rows = StreamSource(surrogate, 16, data_seed=0).rows(np.arange(1, 40, 2))
    assert rows.shape == (20, 16)
    assert not np.array_equal(rows, StreamSource(gssm, 16, data_seed=0).rows(np.arange(1, 40, 2)))


def test_bounds_of_a_graph_and_of_its_surrogates_are_kept_apart(tmp_path, gssm):
    sources = [gssm, gssm.markov_surrogate(1), gssm.markov_surrogate(2)]
    bounds = [make_heldout(source, 20, 16, tmp_path).bound_nats for source in sources]
    assert len(list(tmp_path.iterdir())) == 3
    again = [make_heldout(source, 20, 16, tmp_path).bound_nats for source in sources]
    np.testing.assert_array_equal(bounds, again)


def test_a_data_file_serves_the_source_that_made_it_alone(tmp_path, gssm):
    surrogate, path = gssm.markov_surrogate(1), tmp_path / "tokens.h5"
    assert write_dataset(path, surrogate, 40, 16)
    assert not write_dataset(path, surrogate, 40, 16)
    np.testing.assert_array_equal(open_dataset(path, surrogate, 40, 16)[:1, :1], [[0]])
    for other in (gssm, gssm.markov_surrogate(2)):
        with pytest.raises(LrrayError, match=r"tokens\.h5: surrogate_order: must be .* got 1"):
            write_dataset(path, other, 40, 16)
    graph_file = tmp_path / "graph.h5"
    write_dataset(graph_file, gssm, 40, 16)
    with pytest.raises(LrrayError, match="surrogate_order: must be 1"):
        write_dataset(graph_file, surrogate, 40, 16)
    with h5py.File(graph_file) as file:
        assert "surrogate_order" not in file.attrs


def test_a_run_on_a_surrogate_is_another_run(gssm, make_config):
    config = make_config()
    on_graph = run_identity(gssm, config)
    on_surrogate = run_identity(gssm.markov_surrogate(1), config)
    assert on_surrogate == {**on_graph, "surrogate_order": 1}
    assert on_graph["graph_seed"] == gssm.seed
