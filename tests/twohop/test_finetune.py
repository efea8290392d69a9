"""Fine-tuning: the same for every number of workers, and after every kill."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest
import torch

from lrray.errors import LrrayError
from lrray.training.errors import TrainingDiverged
from lrray.twohop.samples import SampleTable
from tests.twohop.run_experiments import run, small
from tests.twohop.tokenizers import make_model, make_tokenizer

torch.set_num_threads(1)

LORA = {"lora": {"rank": 2, "alpha": 4}}
VARIANTS = {"full": {}, "lora": LORA, "accumulated": {"micro_batch_size": 2}}


def variant(name, **finetune):
    return small(finetune={**VARIANTS[name], **finetune})


def curves(settings, folder):
    points = []
    run(settings, folder, points.append)
    return points


def numbers(point):
    return {name: value for name, value in point.items() if name != "run"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return {name: curves(variant(name), folder / name) for name in VARIANTS}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The same with two gloo workers and sharded models, one after the other."""
    folder = tmp_path_factory.mktemp("together")
    runs = {name: (variant(name), str(folder / name)) for name in VARIANTS}
    (folder / "runs.json").write_text(json.dumps(runs))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    done = subprocess.run(
        [sys.executable, *launcher, "tests.twohop.run_experiments", str(folder / "runs.json")],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    points = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {name: [p for p in points if p["run"] == name] for name in runs}


def test_evaluates_before_training_and_after_every_epoch(alone):
    assert [point["step"] for point in alone["full"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["full", "lora"])
def test_two_sharded_workers_equal_one(alone, together, name):
    assert len(together[name]) == 4
    for one, two in zip(alone[name], together[name], strict=True):
        assert numbers(two) == pytest.approx(numbers(one), rel=1e-4, abs=1e-5)


def test_micro_batches_equal_the_whole_batch(alone, together):
    for runs in (alone, together):
        for whole, parts in zip(runs["full"], runs["accumulated"], strict=True):
            assert numbers(parts) == pytest.approx(numbers(whole), rel=1e-4, abs=1e-5)


def test_adapters_learn_and_leave_the_rest_alone(alone):
    losses = [point["train_loss"] for point in alone["lora"][1:]]
    assert losses[-1] < losses[0]
    # Before training an adapter changes nothing.
    full, lora = alone["full"][0], alone["lora"][0]
    assert lora == pytest.approx(full, rel=1e-5)


def test_gradient_checkpointing_changes_no_number(alone, tmp_path):
    points = curves(variant("lora", gradient_checkpointing=True), tmp_path)
    for one, two in zip(alone["lora"], points, strict=True):
        assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "kill"),
    [
        ("full", signal.SIGKILL),
        pytest.param("lora", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_bit_by_bit(alone, tmp_path, name, kill):
    folder = tmp_path / "run"
    (tmp_path / "runs.json").write_text(json.dumps({name: (variant(name), str(folder))}))
    command = [sys.executable, "-m", "tests.twohop.run_experiments", str(tmp_path / "runs.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        before = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(kill)
        process.wait(60)
        process.stdout.read()
    assert process.returncode != 0
    assert list(folder.glob("seed_1/unfinished/step_*"))
    after = curves(variant(name), folder)
    assert after[0]["step"] > 0
    seen = {point["step"]: numbers(point) for point in [*before, *after]}
    assert [seen[step] for step in sorted(seen)] == alone[name]


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_as_one_that_was_not(tmp_path):
    settings = small(tiny_world={"steps": 40}, finetune={"epochs": 6})
    whole = run(settings, tmp_path / "whole")
    folder, rng = tmp_path / "killed", random.Random(0)
    (tmp_path / "runs.json").write_text(json.dumps({"run": (settings, str(folder))}))
    command = [sys.executable, "-m", "tests.twohop.run_experiments", str(tmp_path / "runs.json")]
    # In pretraining; in fine-tuning after it was done again; in what is left of that.
    for num_steps in (rng.randrange(40), 40 + rng.randrange(4), rng.randrange(2)):
        moment = [str(num_steps), str(rng.uniform(0.0, 0.1))]
        died = subprocess.run([*command, *moment], capture_output=True, text=True, timeout=300)
        assert died.returncode == -signal.SIGKILL, died.stderr[-3000:]
    assert run(settings, folder) == whole
    tables = [SampleTable(tmp_path / name / "seed_1/samples.jsonl") for name in ("whole", "killed")]
    assert tables[0].read() == tables[1].read()


def test_nothing_but_samples_is_left_at_the_end(tmp_path):
    run(small(), tmp_path)
    assert [path.name for path in tmp_path.glob("seed_1/*")] == ["samples.jsonl"]
    rows = SampleTable(tmp_path / "seed_1" / "samples.jsonl").read()
    assert {row["epoch"] for row in rows} == {0, 1, 2, 3}
    kinds = {"first_hop", "nocot", "cot", "second_hop"}
    assert {row["split"] for row in rows} == {*kinds, "context", "worked"}


def test_an_exploding_learning_rate_is_told(tmp_path):
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        run(small(finetune={"learning_rate": 1e30, "max_grad_norm": None}), tmp_path)


@pytest.mark.parametrize(("family", "lora"), [("llama", None), ("qwen", LORA["lora"])])
def test_a_chat_model_in_a_folder_is_trained_by_its_own_template(tmp_path, family, lora):
    torch.manual_seed(0)
    tokenizer = make_tokenizer(family)
    make_model(family, tokenizer).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    finetune = {"replay_rows": 0, "lora": lora, "learning_rate": 0.02, "epochs": 4}
    points = curves(small(model=str(tmp_path / "model"), finetune=finetune), tmp_path)
    losses = [point["train_loss"] for point in points[1:]]
    assert losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize("name", ["lrray-tests/not-in-the-cache", "./no/such/folder"])
def test_a_model_that_cannot_be_had_is_refused_with_what_to_do(tmp_path, monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(LrrayError, match=r"cannot be loaded: .*hf download.*accept its licence"):
        run(small(model=name, finetune={"replay_rows": 0}), tmp_path)


def test_modules_that_no_adapter_fits_are_refused(tmp_path):
    with pytest.raises(LrrayError, match=r"target_modules: does not fit the model"):
        run(small(finetune={"lora": {"target_modules": ["nothing"]}}), tmp_path)
