"""A run that was killed goes on as if nothing had happened, to the last bit."""

import json
import signal
import subprocess
import sys
import time

import pytest

from lrray.errors import LrrayError
from lrray.training.loop import train
from tests.training.conftest import GRAPH
from tests.training.run_training import run

NUM_STEPS = 60


def settings(**keys):
    """A run of a model with dropout that reports every step."""
    return {
        "graph": GRAPH,
        "model": {"type": "mingru", "hidden_size": 8, "num_hidden_layers": 2, "dropout": 0.1},
        "train": {
            "steps": NUM_STEPS, "batch_size": 8, "seq_len": 16, "device": "cpu", "log_every": 1,
            "schedule": "cosine", "warmup_steps": 5, "checkpoint_every": 10, "eval_sequences": 8,
        },
        **keys,
    }  # fmt: skip


def start(path, run_dir):
    """The run as a process of its own."""
    path.write_text(json.dumps({"only": settings(run_dir=str(run_dir))}))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.run_training", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )


def read(process, until_step=None):
    """Reports until the end, or until a step is done."""
    reports = []
    for line in process.stdout:
        reports.append(json.loads(line))
        if until_step is not None and reports[-1].get("step") == until_step:
            break
    return reports


def losses(reports):
    return {r["step"]: r["train_loss_bits"] for r in reports if "train_loss_bits" in r}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    reports = []
    run(settings(run_dir=str(tmp_path_factory.mktemp("run"))), reports.append)
    return reports


def test_a_run_killed_twice_has_bit_equal_losses(tmp_path, uninterrupted):
    def until_signal(number, step):
        process = start(tmp_path / "run.json", tmp_path / "run")
        reports = read(process, until_step=step)
        process.send_signal(number)
        return reports + read(process), process.wait()

    terminated, code = until_signal(signal.SIGTERM, step=23)
    assert (code, terminated[-1]["finished"]) == (0, False)  # it saved and ended by itself
    killed, code = until_signal(signal.SIGKILL, step=47)
    assert code == -signal.SIGKILL
    last = start(tmp_path / "run.json", tmp_path / "run")
    finished = read(last)
    assert last.wait() == 0

    expected = losses(uninterrupted)
    assert min(losses(killed)) == terminated[-1]["ended_at"] + 1
    assert (min(losses(finished)) - 1) % 10 == 0  # a periodic checkpoint
    assert losses(terminated) | losses(killed) | losses(finished) == expected
    for part in (terminated, killed, finished):
        assert losses(part).items() <= expected.items()
    assert finished[-2]["excess_bits"] == uninterrupted[-2]["excess_bits"]


def test_a_stop_between_reports_leaves_the_reports_unchanged(
    tmp_path, gssm, make_model, make_config
):
    config = make_config(steps=8, log_every=4)
    whole, parts = [], []
    train(make_model(), gssm, config, report=whole.append)
    asked = iter([False, False, True])
    stopped = train(
        make_model(), gssm, config, run_dir=tmp_path, report=parts.append,
        should_stop=lambda: next(asked),
    )  # fmt: skip
    assert (stopped.step, stopped.finished, stopped.evaluation) == (2, False, None)
    assert stopped.checkpoint.is_dir()
    resumed = train(make_model(), gssm, config, run_dir=tmp_path, report=parts.append)
    assert (resumed.step, resumed.finished) == (8, True)
    assert losses(parts) == losses(whole)


def test_seconds_count_all_parts_of_a_run(tmp_path, gssm, make_model, make_config):
    def slow(metrics):
        time.sleep(0.1)

    asked = iter([False] * 5 + [True])
    stopped = train(
        make_model(), gssm, make_config(), run_dir=tmp_path, report=slow,
        should_stop=lambda: next(asked),
    )  # fmt: skip
    resumed = train(make_model(), gssm, make_config(), run_dir=tmp_path)
    again = train(make_model(), gssm, make_config(), run_dir=tmp_path)
    assert stopped.step == 5
    assert min(stopped.seconds, resumed.seconds, again.seconds) >= 0.5


def test_a_finished_run_is_evaluated_again_without_training(
    tmp_path, gssm, make_model, make_config
):
    first = train(make_model(), gssm, make_config(), run_dir=tmp_path)
    reports = []
    again = train(make_model(), gssm, make_config(), run_dir=tmp_path, report=reports.append)
    assert [sorted(r) for r in reports if "train_loss_bits" in r] == []
    assert again.evaluation.loss_bits == first.evaluation.loss_bits


def test_a_constant_run_can_be_made_longer(tmp_path, gssm, make_model, make_config):
    whole, parts = [], []
    train(make_model(), gssm, make_config(steps=6), report=whole.append)
    train(make_model(), gssm, make_config(steps=3), run_dir=tmp_path, report=parts.append)
    train(make_model(), gssm, make_config(steps=6), run_dir=tmp_path, report=parts.append)
    assert losses(parts) == losses(whole)


def test_a_run_cannot_be_made_shorter(tmp_path, gssm, make_model, make_config):
    train(make_model(), gssm, make_config(steps=6), run_dir=tmp_path)
    message = "steps: the newest checkpoint has done 6 steps, but got 3"
    with pytest.raises(LrrayError, match=message):
        train(make_model(), gssm, make_config(steps=3), run_dir=tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": 0.5}, r"learning_rate: these checkpoints are of a run with 0.001, but"),
        ({"data_seed": 9}, r"data_seed: these checkpoints are of a run with 0, but got 9"),
        ({"schedule": "linear"}, r"these checkpoints are of a run with"),
    ],
)
def test_checkpoints_of_another_run_are_refused(
    tmp_path, gssm, make_model, make_config, changed, message
):
    train(make_model(), gssm, make_config(), run_dir=tmp_path)
    bounds = tmp_path / "bounds"
    with pytest.raises(LrrayError, match=message):
        train(make_model(), gssm, make_config(**changed), run_dir=tmp_path, cache_dir=bounds)
    assert not bounds.exists()  # refused before the work that it would cost


def test_checkpoints_of_another_model_are_refused(tmp_path, gssm, make_model, make_config):
    train(make_model(), gssm, make_config(), run_dir=tmp_path)
    with pytest.raises(LrrayError, match=r"checkpoint: \S+: must have the model's shape"):
        train(make_model(hidden_size=16), gssm, make_config(), run_dir=tmp_path)
