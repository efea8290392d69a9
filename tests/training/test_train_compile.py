"""``compile: auto`` compiles where a run is long enough and measures a gain."""

import json
import os
import tempfile

import pytest
import torch

from lrray.training import compiling
from lrray.training.compiling import compile_cache, decided
from lrray.training.distributed import ALONE
from lrray.training.loop import train


def test_a_short_run_is_not_compiled_and_the_measurement_is_kept(tmp_path, make_model, make_config):
    config = make_config(compile="auto")
    assert decided(make_model(), config, 4, ALONE, tmp_path).compile is False
    (kept,) = tmp_path.glob("compile_*.json")
    known = json.loads(kept.read_text())
    assert known["gain"] == 0.0
    assert 0 < known["plain_s"] * config.num_steps < compiling.LEAST_S


@pytest.mark.parametrize(("gain", "compiles"), [(1.14, False), (1.15, True)])
def test_the_first_measurement_counts_for_all_runs_of_one_model_and_batch(
    tmp_path, make_model, make_config, monkeypatch, gain, compiles
):
    measured = []

    def measure(*_):
        measured.append(gain)
        return {"plain_s": 10.0, "gain": gain}

    monkeypatch.setattr(compiling, "_measure", measure)
    for data_seed in (0, 1):  # of another seed and learning rate
        config = make_config(compile="auto", data_seed=data_seed, learning_rate=0.1 + data_seed)
        assert decided(make_model(), config, 4, ALONE, tmp_path).compile is compiles
    assert len(measured) == 1
    decided(make_model(hidden_size=16), config, 4, ALONE, tmp_path)
    decided(make_model(), make_config(compile="auto", batch_size=4), 4, ALONE, tmp_path)
    assert len(measured) == 3


def test_what_is_said_is_done_without_a_measurement(tmp_path, make_model, make_config):
    for said in (True, False):
        config = make_config(compile=said)
        assert decided(make_model(), config, 4, ALONE, tmp_path) is config
    assert not list(tmp_path.iterdir())


def test_compiled_code_is_kept_in_the_runs_folder_but_where_the_user_says(
    tmp_path, make_config, monkeypatch
):
    name = "TORCHINDUCTOR_CACHE_DIR"
    monkeypatch.delenv(name, raising=False)
    with compile_cache(make_config(compile="auto"), tmp_path):
        assert os.environ[name] == str(tmp_path / "compiled")
    assert name not in os.environ
    with compile_cache(make_config(), tmp_path):
        assert name not in os.environ
    torch_sets = tempfile.gettempdir() + "/torchinductor_somebody"
    monkeypatch.setenv(name, torch_sets)  # as what was compiled before a run leaves it
    with compile_cache(make_config(compile=True), tmp_path):
        assert os.environ[name] == str(tmp_path / "compiled")
    monkeypatch.setenv(name, "mine")
    with compile_cache(make_config(compile=True), tmp_path):
        assert os.environ[name] == "mine"


def test_deciding_changes_no_number(gssm, make_model, make_config):
    """Of a run with dropout, whose draws are a function of seed and step."""
    keys = {"hidden_size": 8, "dropout": 0.2}
    plain = train(make_model(**keys), gssm, make_config())
    auto = train(make_model(**keys), gssm, make_config(compile="auto"))
    assert auto.evaluation.metrics() == plain.evaluation.metrics()


def test_compile_is_yes_no_or_auto(make_config):
    with pytest.raises(ValueError, match="compile"):
        make_config(compile="always")


def test_a_worker_compiles_for_more_shapes_than_one_forward_is_compiled_for(make_config):
    compiled: list[int] = []

    def backend(graph, inputs):
        compiled.append(inputs[-1].shape[-1])
        return graph.forward

    sizes = list(range(4, 8 + torch._dynamo.config.recompile_limit))
    for size in sizes:
        model = torch.nn.Linear(size, size)
        with compile_cache(make_config(compile=True), None):
            torch.compile(model, backend=backend, dynamic=False)(torch.zeros(2, size))
    assert compiled == sizes


@pytest.mark.slow
def test_a_long_run_is_measured_both_ways(tmp_path, gssm, make_model, make_config, monkeypatch):
    monkeypatch.setattr(compiling, "LEAST_S", 0.0)
    config = make_config(compile="auto")
    model = {"type": "gru", "hidden_size": 20}
    found = train(make_model(**model), gssm, config, cache_dir=tmp_path)
    (kept,) = tmp_path.glob("compile_*.json")
    assert json.loads(kept.read_text())["gain"] > 0
    assert (tmp_path / "compiled").is_dir()
    plain = train(make_model(**model), gssm, make_config())
    assert found.evaluation.loss_bits == pytest.approx(plain.evaluation.loss_bits, abs=1e-4)
