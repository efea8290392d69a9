"""The loop itself: what it reports, when it stops, what it refuses."""

import io
import math
import sys

import pytest
import torch
from rich.console import Console

from lrray.errors import LrrayError
from lrray.models.config import SHIPPED_TYPES
from lrray.training.loop import train
from lrray.training.progress import ProgressBar
from lrray.training.weights import load_trained


@pytest.mark.parametrize("type_", SHIPPED_TYPES)
def test_every_shipped_type_trains(gssm, make_model, make_config, type_):
    model = make_model(type=type_, hidden_size=8, num_hidden_layers=2)
    result = train(model, gssm, make_config(steps=4, learning_rate=0.01))
    assert result.finished
    assert math.isfinite(result.evaluation.excess_bits)


@pytest.mark.parametrize("type_", SHIPPED_TYPES)
def test_matrices_decay_but_no_vectors_and_no_rates_of_mamba(gssm, make_model, make_config, type_):
    def parameters(weight_decay=None):
        model = make_model(type=type_, hidden_size=8, num_hidden_layers=2)
        if weight_decay is not None:
            config = make_config(steps=1, learning_rate=0.01, weight_decay=weight_decay)
            train(model, gssm, config)
        return {name: value.detach() for name, value in model.named_parameters()}

    first, kept, decayed = parameters(), parameters(0.0), parameters(0.5)
    for name, value in first.items():
        is_decayed = value.ndim > 1 and not name.endswith("A_log") and bool(value.any())
        assert torch.equal(kept[name], decayed[name]) != is_decayed, name
    rates = [value for name, value in first.items() if name.endswith("A_log")]
    assert [value.ndim for value in rates] == {"mamba": [2, 2], "mamba2": [1, 1]}.get(type_, [])


def test_reports_come_at_their_steps_with_their_numbers(gssm, make_model, make_config):
    reports = []
    config = make_config(steps=7, log_every=3, eval_every=5, warmup_steps=4, learning_rate=0.01)
    result = train(make_model(), gssm, config, report=reports.append)
    assert [r["step"] for r in reports if "train_loss_bits" in r] == [3, 6, 7]
    assert [r["step"] for r in reports if "excess_bits" in r] == [5, 7]
    first, last = reports[0], reports[-1]
    assert first["tokens"] == 3 * 8 * 16
    assert first["learning_rate"] == pytest.approx(0.0075)
    assert {"tokens_per_s", "data_wait_share", "grad_norm"} <= first.keys()
    assert last["loss_bits"] == pytest.approx(last["bound_bits"] + last["excess_bits"])
    assert list(last["loss_by_position_bits"]) == ["1", "2-3", "4-7", "8-15"]
    assert result.metrics["excess_bits"] == result.evaluation.excess_bits
    assert result.metrics["train_loss_bits"] == reports[-2]["train_loss_bits"]


def test_the_trained_weights_can_be_loaded(tmp_path, gssm, make_model, make_config):
    trained = make_model()
    result = train(trained, gssm, make_config(), run_dir=tmp_path)
    loaded = load_trained(make_model(), result.checkpoint)
    tokens = torch.arange(16)[None] % 4
    assert torch.equal(loaded(tokens), trained(tokens))


def test_bf16_trains_to_about_the_same_loss(gssm, make_model, make_config):
    plain = train(make_model(), gssm, make_config()).evaluation.loss_bits
    rough = train(make_model(), gssm, make_config(precision="bf16")).evaluation.loss_bits
    assert rough == pytest.approx(plain, rel=0.01)
    assert rough != plain


@pytest.mark.slow
def test_a_compiled_model_trains_to_the_same_loss(tmp_path, gssm, make_model, make_config):
    plain = train(make_model(), gssm, make_config()).evaluation.loss_bits
    fast = train(make_model(), gssm, make_config(compile=True), run_dir=tmp_path)
    assert fast.evaluation.loss_bits == pytest.approx(plain, rel=1e-4)


def test_event_files_hold_every_number(tmp_path, gssm, make_model, make_config):
    pytest.importorskip("tensorboardX")
    train(make_model(), gssm, make_config(), run_dir=tmp_path, tensorboard=True)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"excess_bits" in events.read_bytes()
    assert b"train_loss_bits" in events.read_bytes()


def test_a_missing_writer_of_event_files_is_told_before_any_work(
    tmp_path, gssm, make_model, make_config, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)  # what Python does for a missing one
    arguments = {"run_dir": tmp_path, "cache_dir": tmp_path / "bounds", "tensorboard": True}
    with pytest.raises(LrrayError, match="tensorboard: needs the package tensorboardX"):
        train(make_model(), gssm, make_config(), **arguments)
    assert not (tmp_path / "bounds").exists()


def test_nothing_is_printed_without_a_terminal(gssm, make_model, make_config, capfd):
    train(make_model(), gssm, make_config(), progress=True)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_the_bar_shows_loss_excess_and_speed():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    bar = ProgressBar(terminal, first_step=2, num_steps=8)
    bar.show({"step": 4, "train_loss_bits": 1.5, "tokens_per_s": 12345.6})
    bar.show({"step": 4, "excess_bits": 0.25})
    bar.close()
    shown = terminal.file.getvalue()
    assert "loss 1.500  excess 0.250 bits  12,346 tokens/s" in shown
    assert "4/8" in shown


MISTAKES = [
    ({"device": "cuda"}, {}, "device: a GPU is asked for and none is there"),
    ({"checkpoint_every": 2}, {}, "run_dir: checkpoints and event files need a folder"),
    ({"num_train_sequences": 30}, {}, "a data file and a number of training sequences go together"),
    ({}, {"dataset": "x.h5"}, "a data file and a number of training sequences go together"),
]


@pytest.mark.parametrize(("keys", "arguments", "message"), MISTAKES)
def test_settings_that_do_not_fit_are_refused_before_work(
    gssm, make_model, make_config, keys, arguments, message
):
    if keys.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises(LrrayError, match=message) as caught:
        train(make_model(), gssm, make_config(**keys), **arguments)
    assert "\n" not in str(caught.value)
