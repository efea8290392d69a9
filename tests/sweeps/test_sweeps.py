"""Studies as W&B sweeps and back, and trials run by the very command that an agent would build."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from lrray.cli.app import app
from lrray.config import dump_yaml, load_yaml, parse
from lrray.errors import LrrayError
from lrray.studies.load import check_study, list_studies
from lrray.studies.space import Range
from lrray.sweeps.agent import evaluate
from lrray.sweeps.convert import (
    SearchedStudy,
    export_sweep,
    import_sweep,
    read_searched,
)
from lrray.sweeps.early_stop import scheduler_settings
from lrray.sweeps.space import from_parameter, read_value, to_parameter
from lrray.tracking.wandb_files import find_runs, read_run

SEARCHED = [name for name, path in list_studies().items() if "search" in load_yaml(path)]

STUDY = {
    "kind": "function",
    "question": "Which rate is best?",
    "hypothesis": "A large one.",
    "function": "tests.tracking.tracked_cells:anything",
    "search_space": {"settings.rate": {"distribution": "log_uniform", "low": 0.0001, "high": 0.5}},
    "search": {"sampler": "tpe", "num_trials": 5, "metric": "loss_bits"},
}


def written(folder: Path, data: dict, name: str = "study.yaml") -> Path:
    path = folder / name
    path.write_text(dump_yaml(data))
    return path


def round_trip(source: SearchedStudy, folder: Path) -> list:
    sweep = written(folder, export_sweep(source).data, "sweep.yaml")
    return check_study(import_sweep(sweep).data, Path("imported")).points


@pytest.mark.parametrize("name", SEARCHED)
def test_shipped_studies_survive_the_round_trip(name, tmp_path):
    source = read_searched(name, ["grid=null"])
    assert round_trip(source, tmp_path)[0].study == source.study


@pytest.mark.parametrize(
    "sampler", ["level_set", "tpe", "gp", "random", "grid", "optuna.samplers:TPESampler"]
)
def test_overrides_survive_the_round_trip(sampler, tmp_path):
    changed = [f"search.sampler={sampler}", "search.seed=7", "target.value=0.7", "seeds=[3, 5]"]
    source = read_searched("difficulty", changed)
    assert round_trip(source, tmp_path)[0].study == source.study


bounds = st.floats(1e-9, 1e9).flatmap(lambda low: st.tuples(st.just(low), st.floats(low, 1e12)))
whole = st.integers(1, 10**6).flatmap(lambda low: st.tuples(st.just(low), st.integers(low, 10**9)))
numeric = st.one_of(
    st.tuples(st.sampled_from(["uniform", "log_uniform"]), bounds),
    st.tuples(st.sampled_from(["int_uniform", "int_log_uniform"]), whole),
).filter(lambda drawn: drawn[1][0] < drawn[1][1])
choices = st.lists(
    st.text("ae1_. -:n", max_size=5) | st.floats(-1e3, 1e3) | st.integers() | st.booleans(),
    min_size=1, max_size=4,
).filter(lambda values: all(value not in values[:i] for i, value in enumerate(values)))  # fmt: skip
ranges = st.one_of(
    numeric.map(lambda drawn: {"distribution": drawn[0], "low": drawn[1][0], "high": drawn[1][1]}),
    choices.map(lambda values: {"distribution": "choice", "values": values}),
)


@given(ranges)
def test_every_range_survives_w_and_b_and_its_yaml_reader(data):
    range_ = parse(Range, data, "range")
    # W&B reads sweep files with PyYAML, whose numbers follow YAML 1.1.
    read = yaml.safe_load(dump_yaml(to_parameter(range_)))
    assert read == to_parameter(range_)
    assert parse(Range, from_parameter(read, "parameter"), "range") == range_


@settings(max_examples=30, deadline=None)
@given(
    space=st.dictionaries(
        st.sampled_from(["settings.a", "settings.b", "settings.c"]), ranges, min_size=1
    ),
    sampler=st.sampled_from(["tpe", "gp", "random"]),
    mode=st.sampled_from(["min", "max"]),
    scheduler=st.sampled_from(["none", "asha", "median"]),
    rungs=st.sampled_from([{}, {"grace_period": 5, "eta": 2}, {"eta": 2.5}]),
    num_trials=st.integers(1, 10**5),
)
def test_any_search_survives_the_round_trip(
    tmp_path_factory, space, sampler, mode, scheduler, rungs, num_trials
):
    folder = tmp_path_factory.mktemp("study")
    search = {"sampler": sampler, "mode": mode, "scheduler": scheduler, "num_trials": num_trials}
    search |= {"metric": "loss_bits", **rungs}
    source = read_searched(str(written(folder, {**STUDY, "search_space": space, "search": search})))
    assert round_trip(source, folder)[0].study == source.study
    # On another study, all that W&B has words for comes from the sweep itself.
    other = str(written(folder, STUDY, "other.yaml"))
    imported = check_study(import_sweep(folder / "sweep.yaml", other).data, Path("imported")).first
    assert imported.search_space == source.study.search_space
    assert imported.search.num_trials == num_trials
    assert imported.search.mode == mode
    assert (imported.search.scheduler == "asha") == (scheduler == "asha")
    if scheduler == "asha":
        assert imported.search.grace_steps == source.study.search.grace_steps
        assert imported.search.eta == source.study.search.eta


def run_agent_command(sweep: dict, parameters: dict, folder: Path) -> subprocess.CompletedProcess:
    """Runs what ``wandb agent`` would: the command is put together by wandb's own functions."""
    command = create_sweep_command(list(sweep["command"]))
    arguments = {name: {"value": value} for name, value in parameters.items()}
    filled = create_sweep_command_args({"args": arguments})
    filled |= {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [sweep["program"]]}
    words = [w for c in command for w in (filled[c[2:-1]] if c.startswith("${") else [c])]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {
        **os.environ, "PATH": path, "PYTHONPATH": f"{Path.cwd()}",
        "WANDB_MODE": "offline", "WANDB_DIR": str(folder),
    }  # fmt: skip
    return subprocess.run(
        words, capture_output=True, text=True, timeout=120, env=environment, cwd=folder
    )


def test_the_agents_command_measures_the_objective_and_logs_it(tmp_path):
    data = {**STUDY, "function": "tests.tracking.tracked_cells:descend"}
    sweep = yaml.safe_load(
        dump_yaml(export_sweep(read_searched(str(written(tmp_path, data)))).data)
    )
    done = run_agent_command(sweep, {"settings.rate": 1e-05}, tmp_path)
    assert done.returncode == 0, done.stderr
    expected = 1 + (1 - 1e-05) ** 30
    assert json.loads(done.stdout)["loss_bits"] == expected
    (path,) = find_runs(tmp_path)
    run = read_run(path)
    assert run.summary[sweep["metric"]["name"]] == expected
    assert run.config["settings.rate"] == 1e-05
    assert [point["step"] for point in run.history if "step" in point] == list(range(30))


def test_the_agents_command_measures_the_difficulty(tmp_path):
    small = ["seeds=2", "sequences_per_seed=1", "seq_len=256", "entropy_sequences=0"]
    sweep = export_sweep(read_searched("difficulty_single", small)).data
    done = run_agent_command(sweep, {"alpha_X": 0.1, "alpha_Z": 0.2}, tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers["objective"] == abs(numbers["difficulty"] - 0.75)
    assert read_run(find_runs(tmp_path)[0]).summary["objective"] == numbers["objective"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "settings.rate: the sweep must give this parameter (fix: settings.rate=0.0001)"),
        ({"settings.rate": "much"}, "settings.rate: must be a number, but got 'much'"),
        ({"settings.rate": 0.1, "sed": 3}, "study.yaml: unknown key 'sed' (fix: did you mean"),
    ],
)
def test_a_wrong_trial_is_told_in_one_line(parameters, message, tmp_path):
    words = [f"{name}={value}" for name, value in parameters.items()]
    with pytest.raises(LrrayError) as caught:
        evaluate(str(written(tmp_path, STUDY)), words)
    assert message in str(caught.value)


def test_a_failing_trial_fails(tmp_path):
    data = {**STUDY, "function": "tests.tracking.tracked_cells:fail"}
    sweep = export_sweep(read_searched(str(written(tmp_path, data)))).data
    done = run_agent_command(sweep, {"settings.rate": 0.1}, tmp_path)
    assert done.returncode == 2
    assert done.stderr == "the cell failed: ValueError: never works\n"


FOREIGN = {
    "program": "train.py",
    "method": "bayes",
    "metric": {"name": "val_loss", "goal": "maximize", "target": 0.1},
    "parameters": {
        "settings": {"parameters": {
            "rate": {"distribution": "log_uniform", "min": -3, "max": 0},
            "size": {"min": 1, "max": 64},
            "steps": {"value": 40},
            "noise": {"distribution": "normal", "mu": 0, "sigma": 1},
            "name": {"values": ["a", "b"], "probabilities": [0.1, 0.9]},
        }},
    },
    "early_terminate": {"type": "hyperband", "max_iter": 27, "s": 2},
    "run_cap": 9,
    "imageuri": "docker",
}  # fmt: skip


def test_a_foreign_sweep_changes_a_base_study_and_says_what_is_lost(tmp_path):
    sweep, base = written(tmp_path, FOREIGN, "sweep.yaml"), written(tmp_path, STUDY)
    translation = import_sweep(sweep, str(base))
    study = check_study(translation.data, Path("imported")).first
    rate, size = (study.search_space[f"settings.{name}"] for name in ("rate", "size"))
    assert (rate.distribution, rate.high) == ("log_uniform", 1.0)
    assert (size.distribution, size.low, size.high) == ("int_uniform", 1, 64)
    assert study.settings == {"steps": 40}
    assert (study.search.metric, study.search.mode) == ("val_loss", "max")
    assert (study.search.scheduler, study.search.max_step) == ("asha", 27)
    assert (study.search.grace_period, study.search.eta) == (3, 3)  # W&B judges at 3 and 9
    assert study.search.num_trials == 9
    assert translation.losses == [
        "parameters.settings.rate: from 0.04979 to 1, as W&B draws log_uniform; "
        "log_uniform_values takes bounds as they are",
        "parameters.settings.noise: nothing in lrray draws normal values: not searched",
        "parameters.settings.name: nothing in lrray draws with probabilities values: not searched",
        "metric.target: a search runs all its trials",
        "program train.py: the study's kind computes a trial",
        "imageuri: no counterpart in a study",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "method: must be bayes, random or grid, but got 'magic'"),
        ({"parameters": None}, "parameters: must be a mapping of parameters, but got None"),
        ({"parameters": {"a": 3}}, "parameters.a: must be a mapping, but got 3"),
        ({"early_terminate": "hyperband"}, "early_terminate: must be a mapping, but got"),
        (
            {"early_terminate": {"type": "hyperband", "eta": "3"}},
            "early_terminate.eta: must be a number from 1 on, but",
        ),
        (
            {"parameters": {"settings.rate": {"min": "1e-4", "max": 1}}},
            "parameters.settings.rate.min: must be a number, but got '1e-4'",
        ),
    ],
)
def test_a_wrong_sweep_file_is_told_in_one_line(change, message, tmp_path):
    sweep = written(tmp_path, {**FOREIGN, **change}, "sweep.yaml")
    with pytest.raises(LrrayError, match=r"sweep\.yaml: ") as caught:
        import_sweep(sweep, str(written(tmp_path, STUDY)))
    assert message in str(caught.value)


def test_a_sweep_that_names_no_study_asks_for_one(tmp_path):
    with pytest.raises(LrrayError, match=r"names no study.*--base STUDY"):
        import_sweep(written(tmp_path, FOREIGN, "sweep.yaml"))


def test_a_grid_of_searches_is_no_sweep(tmp_path):
    path = written(tmp_path, {**STUDY, "grid": {"search.seed": [0, 1]}})
    with pytest.raises(LrrayError, match="asks for 2 searches; a sweep is one"):
        read_searched(str(path))


def test_choices_are_read_back_as_what_they_are():
    range_ = parse(Range, {"distribution": "choice", "values": ["1", 2, True, "off"]}, "range")
    assert [read_value(range_, str(value), "x") for value in range_.values] == ["1", 2, True, "off"]


def test_the_command_line_writes_both_files_and_lists_what_is_lost(tmp_path):
    runner, sweep, study = CliRunner(), str(tmp_path / "s.yaml"), str(tmp_path / "t.yaml")
    exported = runner.invoke(app, ["sweep", "export", "difficulty", "-o", sweep])
    assert exported.exit_code == 0
    assert "search.seed: W&B draws differently at every start" in exported.stderr
    assert runner.invoke(app, ["sweep", "import", sweep, "-o", study]).exit_code == 0
    assert read_searched(study).study == read_searched("difficulty").study


@pytest.mark.parametrize(("extra", "num_trials"), [({}, 60), ({"run_cap": 7}, 7)])
def test_a_grid_sweep_makes_as_many_trials_as_its_grid_has_points(tmp_path, extra, num_trials):
    parameters = {
        "settings.a": {"values": [1, 2, 3]}, "settings.b": {"values": list("vwxyz")},
        "settings.c": {"values": [0.1, 0.2, 0.4, 0.8]}, "settings.d": {"value": 3},
    }  # fmt: skip
    sweep = {"method": "grid", "parameters": parameters, "program": "train.py", **extra}
    translation = import_sweep(
        written(tmp_path, sweep, "sweep.yaml"), str(written(tmp_path, STUDY))
    )
    study = check_study(translation.data, Path("imported")).first
    assert study.search.num_trials == num_trials
    assert not [line for line in translation.losses if "run_cap" in line]


@pytest.mark.parametrize(
    ("given", "rungs"),
    [
        ({"min_iter": 1}, (3, 1, 100)),
        ({"min_iter": 200, "eta": 2}, (2, 200, 200)),
        ({"max_iter": 27, "s": 3}, (3, 1, 27)),
        ({"max_iter": 27}, (3, 9, 27)),
    ],
)
def test_trials_are_judged_where_w_and_b_would(given, rungs):
    own = scheduler_settings({"type": "hyperband", **given}, {}, "early_terminate")
    assert (own["eta"], own["grace_period"], own["max_step"]) == rungs
