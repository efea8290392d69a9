"""The number of workers, and how a batch is cut up, do not change the result."""

import json
import subprocess
import sys

import pytest

from lrray.training.loop import train
from tests.training.conftest import GRAPH


def losses(reports, name="train_loss_bits"):
    return [r[name] for r in reports if name in r]


def settings(tmp_path, **keys):
    return {
        "graph": GRAPH,
        "model": {"type": "mingru", "hidden_size": 8, "num_hidden_layers": 2},
        "train": {
            "steps": 6, "batch_size": 8, "seq_len": 16, "device": "cpu", "log_every": 1,
            "eval_sequences": 8, **keys,
        },
    }  # fmt: skip


def launch(tmp_path, runs, num_workers):
    path = tmp_path / f"{num_workers}.json"
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


def test_two_workers_equal_one(tmp_path):
    runs = {
        "ddp": settings(tmp_path),
        "accumulated": settings(tmp_path, micro_batch_size=3),
        "fsdp": settings(tmp_path, parallel="fsdp", micro_batch_size=3),
    }
    alone = launch(tmp_path, {"alone": runs["ddp"]}, num_workers=1)["alone"]
    together = launch(tmp_path, runs, num_workers=2)
    assert len(losses(alone)) == 6
    for reports in together.values():
        for name in ("train_loss_bits", "grad_norm", "loss_bits", "excess_bits"):
            assert losses(reports, name) == pytest.approx(losses(alone, name), rel=1e-5, abs=1e-6)


def test_a_sharded_run_resumes_in_one_process(tmp_path, gssm):
    runs = {}
    for name, steps in (("first", 3), ("second", 6)):
        runs[name] = settings(tmp_path, parallel="fsdp", steps=steps)
        runs[name]["run_dir"] = str(tmp_path / "run")
    runs["whole"] = settings(tmp_path, parallel="fsdp")
    reports = launch(tmp_path, runs, num_workers=2)
    parts = losses(reports["first"]) + losses(reports["second"])
    assert parts == pytest.approx(losses(reports["whole"]), rel=1e-6)
    again = {"again": {**runs["second"], "train": {**runs["second"]["train"], "steps": 9}}}
    assert len(losses(launch(tmp_path, again, num_workers=1)["again"])) == 3


@pytest.mark.parametrize("micro_batch_size", [1, 3, 8, 100])
def test_gradient_accumulation_equals_the_whole_batch(
    gssm, make_model, make_config, micro_batch_size
):
    whole, parts = [], []
    train(make_model(), gssm, make_config(), report=whole.append)
    cut = make_config(micro_batch_size=micro_batch_size)
    train(make_model(), gssm, cut, report=parts.append)
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)
