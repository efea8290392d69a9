"""HDF5 files: whole or absent, checked against the run, read in a fixed order."""

import hashlib
import os
import time

import h5py
import numpy as np
import pytest

from lrray.errors import LrrayError
from lrray.gssm import GSSM
from lrray.training.dataset import DamagedDataset, open_dataset, write_dataset
from lrray.training.loop import train
from lrray.training.streams import stream_seed


@pytest.fixture
def path(tmp_path, gssm):
    path = tmp_path / "data" / "tokens.h5"
    assert write_dataset(path, gssm, num_sequences=40, seq_len=16)
    return path


def test_a_file_holds_the_first_sequences_of_the_training_stream(path, gssm):
    tokens = open_dataset(path, gssm, 40, 16)
    np.testing.assert_array_equal(tokens, gssm.sample(40, 16, stream_seed("train", 0)))
    with h5py.File(path) as file:
        assert file["tokens"].dtype == np.uint8
        assert file["tokens"].chunks is not None
        assert {"graph", "graph_seed", "stream_seed", "version", "sha256"} <= set(file.attrs)
    assert [p.name for p in path.parent.iterdir()] == ["tokens.h5"]


def test_a_sound_file_is_left_alone_and_serves_fewer_sequences(path, gssm):
    before = path.stat().st_mtime_ns
    assert not write_dataset(path, gssm, 40, 16)
    assert not write_dataset(path, gssm, 30, 16)
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_recognised_and_made_again(path, gssm, damage):
    content = bytearray(path.read_bytes())
    if damage == "flip":
        with h5py.File(path, "r+") as file:
            file["tokens"][3, 5] ^= 1
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(DamagedDataset, match=r"tokens\.h5") as caught:
        open_dataset(path, gssm, 40, 16)
    assert "\n" not in str(caught.value)
    assert write_dataset(path, gssm, 40, 16)
    open_dataset(path, gssm, 40, 16)


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_file_kept(path, gssm):
    left, living = (path.with_name(f".tokens.h5.{n}.abcd0123.tmp") for n in (1, 2))
    other = path.with_name(".other.h5.1.abcd0123.tmp")
    for file in (left, living, other):
        file.write_bytes(b"part")
    for file in (left, other):
        os.utime(file, (time.time() - 4000,) * 2)
    path.unlink()
    write_dataset(path, gssm, 40, 16)
    assert set(path.parent.iterdir()) == {path, living, other}


def test_tokens_of_another_sampler_are_recognised(path, gssm):
    with h5py.File(path, "r+") as file:
        tokens = gssm.sample(40, 16, stream_seed=5)
        file["tokens"][:] = tokens
        file.attrs["sha256"] = hashlib.sha256(tokens.tobytes()).hexdigest()
    with pytest.raises(DamagedDataset, match="not those that this version draws"):
        open_dataset(path, gssm, 40, 16)


def test_a_file_that_does_not_fit_the_run_is_refused(path, gssm):
    def refused(message, other=gssm, num_sequences=40, seq_len=16, data_seed=0):
        with pytest.raises(LrrayError, match=message) as caught:
            open_dataset(path, other, num_sequences, seq_len, data_seed)
        assert not isinstance(caught.value, DamagedDataset)

    nodes = gssm.graph.to_dict()["nodes"]
    wider = {"nodes": [nodes[0], {**nodes[1], "state_dim": 5}]}
    refused("vocab_size: must be 5 for this run, but got 4", GSSM.from_config(wider, 1))
    sharper = {"nodes": [nodes[0], {**nodes[1], "alpha": 0.2}]}
    refused("graph: must be", GSSM.from_config(sharper, 1))
    refused("graph_seed: must be 2", GSSM(gssm.graph, 2))
    refused("data_seed: must be 1", data_seed=1)
    refused("seq_len: must be 8", seq_len=8)
    refused("must hold at least 41 sequences, but got 40", num_sequences=41)


def test_a_missing_file_says_what_to_do(tmp_path, gssm):
    with pytest.raises(LrrayError, match=r"no such data file \(fix: make the data first\)"):
        open_dataset(tmp_path / "no.h5", gssm, 40, 16)


def test_a_file_of_something_else_is_recognised(tmp_path, gssm):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = [1, 2]
    with pytest.raises(DamagedDataset, match="cannot be read as a data file"):
        open_dataset(tmp_path / "other.h5", gssm, 40, 16)


def test_large_files_are_read_row_by_row(path, gssm, monkeypatch):
    from lrray.training import dataset, streams

    monkeypatch.setattr(dataset, "_MAX_IN_MEMORY_BYTES", 0)
    lazy = open_dataset(path, gssm, 40, 16)
    assert isinstance(lazy, h5py.Dataset)
    whole = gssm.sample(40, 16, stream_seed("train", 0))
    positions = np.arange(60)
    from_file = streams.EpochSource(lazy, 40, 1).rows(positions)
    in_memory = streams.EpochSource(whole, 40, 1).rows(positions)
    np.testing.assert_array_equal(from_file, in_memory)


def test_training_on_finite_data_is_deterministic_and_counts_epochs(
    path, gssm, make_model, make_config
):
    def losses(**keys):
        reports = []
        config = make_config(num_train_sequences=30, **keys)
        train(make_model(), gssm, config, dataset=path, report=reports.append)
        return reports[-1]["epoch"], [r["train_loss_bits"] for r in reports[:-1]]

    assert losses() == losses()
    assert losses()[0] == 6 * 8 / 30
    assert losses(shuffle_seed=1)[1] != losses()[1]


@pytest.mark.slow
def test_few_sequences_are_memorised_and_held_out_loss_rises(path, gssm, make_model, make_config):
    config = make_config(steps=600, num_train_sequences=8, learning_rate=0.01)
    model = make_model(hidden_size=64, num_hidden_layers=2)
    result = train(model, gssm, config, dataset=path)
    assert result.metrics["train_loss_bits"] < result.evaluation.bound_bits
    assert result.evaluation.excess_bits > 0.3
