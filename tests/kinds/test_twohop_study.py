"""Two-hop studies: shipped files, axes, identity, a cell of its own."""

import json
import logging

import pytest
import yaml

from lrray.errors import LrrayError
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.kinds.twohop import Study
from lrray.results.folder import RunFolder
from lrray.results.record import DONE
from lrray.results.run import Run
from lrray.storage.cells import handed_over
from lrray.storage.folder import StoredFolder
from lrray.storage.objects import open_store
from lrray.storage.sync import Sync
from lrray.studies.cell import make_cell
from lrray.studies.grid import expand
from lrray.studies.kind import CellContext, load_kind
from lrray.studies.load import read_study
from lrray.training.stopping import Stopped
from lrray.twohop.config import FinetuneConfig
from lrray.twohop.samples import SampleTable
from tests.twohop.run_experiments import small

ABOUT = {"kind": "twohop", "question": "Q?", "hypothesis": "H."}


def points_of(name, *overrides):
    data, path = read_study(name, overrides)
    return expand(data, Study, str(path))


@pytest.mark.parametrize(
    ("name", "num_cells", "model"),
    [
        ("semi_synthetic", 51, "meta-llama/Meta-Llama-3-8B-Instruct"),
        ("semi_synthetic_quick", 3, "meta-llama/Meta-Llama-3-8B-Instruct"),
        ("semi_synthetic_lora", 3, "meta-llama/Meta-Llama-3-8B-Instruct"),
        ("semi_synthetic_tiny", 51, "tiny_world"),
        ("fully_synthetic_tiny", 9, "tiny_world"),
        ("in_context", 3, "meta-llama/Meta-Llama-3-8B-Instruct"),
    ],
)
def test_shipped_studies_are_planned_without_a_network(name, num_cells, model):
    points = points_of(name)
    assert len({make_cell(point.study, point.axes).id for point in points}) == num_cells
    assert {point.study.model for point in points} == {model}


def test_an_override_replaces_an_axis():
    points = points_of("semi_synthetic_tiny", "dataset=universities")
    assert [point.axes for point in points] == [
        {"dataset": "universities", "seed": seed} for seed in (1, 2, 3)
    ]
    points = points_of("semi_synthetic_tiny", "dataset=[parks, ships]", "seed=7")
    assert [point.axes["dataset"] for point in points] == ["parks", "ships"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "study.yaml: dataset: exactly one of dataset and facts must be given"),
        (
            {"dataset": "park"},
            r"dataset: park: no such two-hop dataset \(fix: did you mean 'parks'",
        ),
        ({"facts": "none.yaml"}, "facts: none.yaml: no such file"),
        ({"dataset": "parks", "finetune": {"epochs": -1}}, "finetune.epochs: must be"),
        (
            {"dataset": "parks", "storage": "/there", "resources": {"workers": 2}},
            "storage: takes no sharded checkpoints of CPU workers",
        ),
        (
            {"dataset": "parks", "data": {"people": 28}},
            "data.people: must be at most 27, the number of entities of parks, but got 28",
        ),
        ({"dataset": "parks", "known_threshold": 50}, "known_threshold: must be"),
        ({"dataset": "parks", "modle": "x"}, "unknown key 'modle'"),
        (
            {"dataset": "parks", "model": "a/b", "finetune": {"replay_rows": 4}},
            "finetune.replay_rows: only the tiny world has rows to replay, but got 4",
        ),
        (
            {"dataset": "parks", "task": "in_context"},
            "finetune.epochs: task in_context trains nothing, but got 20",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(keys, message):
    with pytest.raises(LrrayError, match=message):
        expand({**ABOUT, **keys}, Study, "study.yaml")


def test_what_is_marked_in_the_report_makes_no_other_cell():
    ids = {
        make_cell(point.study, point.axes).id
        for threshold in (0.5, 0.8)
        for point in points_of("semi_synthetic_quick", f"known_threshold={threshold}", "seed=1")
    }
    assert len(ids) == 1


def test_a_facts_file_travels_with_its_cell(tmp_path, make_facts):
    facts = make_facts(("Fram", "Norway"), ("Vasa", "Sweden"), ("Gjoa", "Denmark"))
    path = tmp_path / "boats.yaml"
    path.write_text(json.dumps(facts.model_dump(mode="json")))
    data = {**ABOUT, **small(data={"people": 3}), "facts": str(path)}
    (point,) = expand(data, Study, "study.yaml")
    cell = make_cell(point.study, {})
    path.unlink()
    settings = json.loads(json.dumps(cell.settings))
    context = load_context(tmp_path)
    result = load_kind("twohop").run_cell(settings, context)
    assert {"acc_a", "acc_2hop_flag_nocot", "gap_2hop_flag", "acc_second_hop"} <= set(result)


def load_context(folder):
    return CellContext(folder / "checkpoints/cell", folder / "shared", folder, lambda point: None)


def one_cell(*seeds, epochs=0):
    data = {**ABOUT, **small(finetune={"epochs": epochs}), "dataset": "parks"}
    (point,) = expand(data, Study, "study.yaml")
    return make_cell(point.study, {}, seeds)


def test_texts_of_a_cell_that_repeats_seeds_lie_side_by_side(tmp_path):
    cell = one_cell(1, 2)
    run_durably(cell, RunFolder(tmp_path), Limits())
    names = {path.name for path in tmp_path.glob("samples/*")}
    assert names == {f"{cell.id}_seed_1.jsonl", f"{cell.id}_seed_2.jsonl"}


def epochs_of(folder, cell):
    return [point["step"] for point in Run(folder.path).metrics(cell.id)]


def test_a_cell_that_is_asked_to_stop_goes_on_at_the_epoch_it_had_reached(tmp_path):
    cell, whole, stopped = one_cell(epochs=3), RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")
    for folder in (whole, stopped):
        folder.path.mkdir()
    expected = run_durably(cell, whole, Limits()).result
    stopped.ask_to_stop("driver")
    with pytest.raises(Stopped):
        run_durably(cell, stopped, Limits(driver="driver"))
    assert epochs_of(stopped, cell) == [0]
    assert not stopped.is_running(cell.id)
    stopped.forget_stop()
    record = run_durably(cell, stopped, Limits(driver="another", max_failures=0))
    assert record.result == expected
    assert epochs_of(stopped, cell) == [0, 1, 2, 3]


def test_a_cell_lost_between_its_end_and_its_record_is_not_run_again(tmp_path):
    cell, folder = one_cell(epochs=1), RunFolder(tmp_path)
    record = run_durably(cell, folder, Limits())
    folder.cell_path(cell.id).unlink()
    curve = (tmp_path / "metrics" / f"{cell.id}.jsonl").read_text()
    assert run_durably(cell, folder, Limits()).result == record.result
    assert (tmp_path / "metrics" / f"{cell.id}.jsonl").read_text() == curve
    assert not list((tmp_path / "checkpoints").rglob("unfinished"))


def test_generated_texts_come_home_from_a_storage(tmp_path):
    cell, store = one_cell(), open_store(str(tmp_path / "storage")).below("study/run")
    there, here = (StoredFolder(tmp_path / name / "study/run", store) for name in ("node", "home"))
    for folder in (there, here):
        folder.path.mkdir(parents=True)
    run = handed_over(lambda cell: run_durably(cell, there, Limits()), there)
    assert run(cell).state == DONE
    assert not list(there.path.rglob("*.jsonl"))
    Sync(here).fetch()
    rows = SampleTable(here.path / "samples" / f"{cell.id}.jsonl").read()
    kinds = {"first_hop", "nocot", "cot", "second_hop"}
    assert {row["split"] for row in rows} == {*kinds, "context", "worked"}


def test_keys_of_trl_and_accelerate_map(caplog):
    with caplog.at_level(logging.WARNING):
        config = FinetuneConfig.model_validate(
            {
                "learning_rate": 7.5e-7, "num_train_epochs": 20, "per_device_train_batch_size": 1,
                "gradient_accumulation_steps": 1, "num_processes": 4, "max_grad_norm": 1.0,
                "lr_scheduler_type": "linear", "warmup_steps": 0, "bf16": True,
                "adam_beta2": 0.95, "gradient_checkpointing": True, "logging_steps": 1,
                "save_strategy": "no",
            }
        )  # fmt: skip
    assert (config.epochs, config.batch_size, config.micro_batch_size) == (20, 4, 1)
    assert (config.precision, config.betas) == ("bf16", (0.9, 0.95))
    assert "logging_steps, save_strategy" in caplog.text
    assert "warmup_steps" not in caplog.text


@pytest.mark.parametrize(("given", "precision"), [("no", "float32"), ("bf16", "bf16")])
def test_accelerates_precision_maps(given, precision):
    assert FinetuneConfig.model_validate({"mixed_precision": given}).precision == precision
    read = yaml.safe_load(f"mixed_precision: {given}")
    assert FinetuneConfig.model_validate(read).precision == precision


@pytest.mark.parametrize("given", ["fp16", "fp8", True])
def test_a_precision_that_there_is_none_of_is_refused(given):
    data = {**ABOUT, "dataset": "parks", "finetune": {"mixed_precision": given}}
    message = rf"finetune\.mixed_precision: must be 'no' or 'bf16', but got '?{given}'? \(fix"
    with pytest.raises(LrrayError, match=message):
        expand(data, Study, "study.yaml")


def test_a_key_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="unknown key 'learning_rat'"):
        FinetuneConfig.model_validate({"learning_rat": 1})
