"""The number of workers, and how a batch is cut up, do not change the result."""

import json
import subprocess
import sys

import pytest

from lrray.training.loop import train
from tests.training.conftest import GRAPH
from tests.training.run_training import run


def values(reports, name="train_loss_bits"):
    return [r[name] for r in reports if name in r]


def settings(run_dir=None, **keys):
    train_settings = {
        "steps": 6, "batch_size": 8, "seq_len": 16, "device": "cpu", "log_every": 1,
        "eval_sequences": 8,
    }  # fmt: skip
    return {
        "graph": GRAPH,
        "model": {"type": "mingru", "hidden_size": 8, "num_hidden_layers": 2},
        "train": {**train_settings, **keys},
        **({} if run_dir is None else {"run_dir": str(run_dir)}),
    }


def in_this_process(run_settings):
    reports = []
    run(run_settings, reports.append)
    return reports


def under_torchrun(path, runs, num_workers):
    path.write_text(json.dumps(runs))
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={num_workers}", "-m"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "tests.training.run_training", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {name: [r for r in reports if r["run"] == name] for name in runs}


@pytest.fixture(scope="module")
def alone():
    return in_this_process(settings())


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Several runs of two gloo workers, one after the other in the same two processes."""
    folder = tmp_path_factory.mktemp("workers")
    in_this_process(settings(folder / "begun alone", steps=3))
    runs = {
        "ddp": settings(),
        "accumulated": settings(micro_batch_size=3),
        "fsdp": settings(parallel="fsdp", micro_batch_size=3),
        "first half": settings(folder / "run", parallel="fsdp", steps=3),
        "second half": settings(folder / "run", parallel="fsdp", steps=6),
        "after one worker": settings(folder / "begun alone", parallel="fsdp", steps=6),
        "own folders": settings(steps=9)
        | {"run_dir_of_rank": [str(folder / "run"), str(folder / "elsewhere")]},
        "stopped": settings(folder / "stopped", steps=40) | {"stop_at": 5},
        "odd batch": settings(batch_size=7),
        "odd evaluation": settings(eval_sequences=7),
    }
    return folder, under_torchrun(folder / "runs.json", runs, num_workers=2)


@pytest.fixture(scope="module")
def four_together(tmp_path_factory):
    """Two rows of a batch for each of four gloo workers."""
    runs = {"ddp": settings(), "fsdp": settings(parallel="fsdp")}
    return under_torchrun(tmp_path_factory.mktemp("four") / "runs.json", runs, num_workers=4)


@pytest.mark.parametrize("name", ["ddp", "accumulated", "fsdp"])
def test_two_workers_equal_one(alone, together, name):
    reports = together[1][name]
    assert len(values(reports)) == 6
    for metric in ("train_loss_bits", "grad_norm", "loss_bits", "bound_bits", "excess_bits"):
        assert values(reports, metric) == pytest.approx(values(alone, metric), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_four_workers_equal_one(alone, four_together, name):
    for metric in ("train_loss_bits", "grad_norm", "loss_bits", "excess_bits"):
        expected = values(alone, metric)
        assert values(four_together[name], metric) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_sharded_run_resumes_with_two_workers_and_with_one(alone, together):
    folder, reports = together
    halves = values(reports["first half"]) + values(reports["second half"])
    assert halves == pytest.approx(values(alone), rel=1e-5)
    newest = folder / "run" / "checkpoints" / "step_0000000006"
    assert sorted(path.name for path in newest.iterdir()) == [
        "model.1-of-2.safetensors", "model.2-of-2.safetensors",
        "optimizer.1-of-2.safetensors", "optimizer.2-of-2.safetensors", "state.json",
    ]  # fmt: skip
    longer = in_this_process(settings(folder / "run", steps=9))
    whole = in_this_process(settings(steps=9))
    assert values(longer) == pytest.approx(values(whole)[6:], rel=1e-5)


def test_what_one_worker_began_two_shards_go_on_with(alone, together):
    assert values(together[1]["after one worker"]) == pytest.approx(values(alone)[3:], rel=1e-5)


def test_workers_stop_together_at_a_step_where_they_ask_each_other(together):
    folder, reports = together
    assert (reports["stopped"][-1]["ended_at"], reports["stopped"][-1]["finished"]) == (8, False)
    assert (folder / "stopped" / "checkpoints" / "step_0000000008").is_dir()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own folders", "run_dir: every worker must see the same checkpoints"),
        ("odd batch", "batch_size: must be divisible by the number of workers, 2, but got 7"),
        ("odd evaluation", "eval_sequences: must be divisible by the number of workers, 2"),
    ],
)
def test_what_several_workers_cannot_share_is_refused(together, name, message):
    assert message in together[1][name][0]["error"]


@pytest.mark.parametrize("micro_batch_size", [1, 3, 8, 100])
def test_gradient_accumulation_equals_the_whole_batch(
    gssm, make_model, make_config, micro_batch_size
):
    whole, parts = [], []
    train(make_model(), gssm, make_config(), report=whole.append)
    cut = make_config(micro_batch_size=micro_batch_size)
    train(make_model(), gssm, cut, report=parts.append)
    assert values(parts) == pytest.approx(values(whole), rel=1e-5)
