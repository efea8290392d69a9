"""A run that was killed goes on as if nothing had happened, to the last bit."""

import json
import signal
import subprocess
import sys

import pytest

from lrray.errors import LrrayError
from lrray.training.loop import train
from tests.training.conftest import GRAPH

NUM_STEPS = 60


def start(path, run_dir):
    """A process that trains a model with dropout, reporting every step."""
    settings = {
        "graph": GRAPH,
        "model": {"type": "mingru", "hidden_size": 8, "num_hidden_layers": 2, "dropout": 0.1},
        "train": {
            "steps": NUM_STEPS, "batch_size": 8, "seq_len": 16, "device": "cpu", "log_every": 1,
            "schedule": "cosine", "warmup_steps": 5, "checkpoint_every": 10, "eval_sequences": 8,
        },
        "run_dir": str(run_dir),
    }  # fmt: skip
    path.write_text(json.dumps({"only": settings}))
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
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(folder / "run.json", folder / "run")
    reports = read(process)
    assert process.wait() == 0
    return reports


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_resumes_with_bit_equal_losses(tmp_path, uninterrupted, how):
    process = start(tmp_path / "run.json", tmp_path / "run")
    before = read(process, until_step=27)
    process.send_signal(how)
    before += read(process)
    process.wait()

    process = start(tmp_path / "run.json", tmp_path / "run")
    after = read(process)
    assert process.wait() == 0

    expected = losses(uninterrupted)
    assert losses(before) == {step: expected[step] for step in losses(before)}
    assert losses(after) == {step: expected[step] for step in losses(after)}
    first = min(losses(after))
    if how == signal.SIGKILL:
        assert first % 10 == 1  # from the last periodic checkpoint
    else:
        assert before[-1] == {"run": "only", "ended_at": first - 1, "finished": False}
        assert process.returncode == 0
    evaluations = [[r for r in reports if "excess_bits" in r] for reports in (after, uninterrupted)]
    assert evaluations[0] == evaluations[1]
    assert after[-1]["ended_at"] == NUM_STEPS


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
    with pytest.raises(LrrayError, match=message):
        train(make_model(), gssm, make_config(**changed), run_dir=tmp_path)


def test_checkpoints_of_another_model_are_refused(tmp_path, gssm, make_model, make_config):
    train(make_model(), gssm, make_config(), run_dir=tmp_path)
    with pytest.raises(LrrayError, match=r"checkpoint: \S+: must have the model's shape"):
        train(make_model(hidden_size=16), gssm, make_config(), run_dir=tmp_path)
