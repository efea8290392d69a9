"""Configurations of other tools are answered with what does the same here, and that exists."""

import shlex

import pytest

from lrray.config import dump_yaml
from lrray.errors import LrrayError
from lrray.studies.foreign import PAGE, recognise
from lrray.studies.load import load_study
from tests.docs.blocks import ROOT

_GRAPH = {
    "nodes": [
        {"name": "Z1", "state_dim": 64},
        {"name": "X", "state_dim": 32, "parents": ["Z1"], "observed": True},
    ]
}


def _two_hop(*files):
    sets = [{"name": file, "dataset_file": file} for file in files]
    return {"model_name_or_path": "m", "train_datasets": sets, "eval_datasets": sets}


def _run(grid):
    return {"launcher": {"name": "a", "grid": grid}, "run_config": {"data": {"gssm": _GRAPH}}}


FILES = [
    (_two_hop("datasets/january_push/bridges/train/first_hop.jsonl"), "dataset=bridges"),
    (_two_hop("datasets/mine/novels/train/first_hop.jsonl"), "lrray study semi_synthetic;"),
    (_two_hop("datasets/synthetic_spouses/all/train/a.jsonl"), "study fully_synthetic_tiny;"),
    (_two_hop("datasets/synthetic_spouses/all/train_samedoc/ab.jsonl"), "task=same_document"),
    (_run({"data": {"n_data": [30, 100]}, "grid_id": [0, 1]}), "lrray study finite_data"),
    (_run({"model": {"emb_dim": [8, 16]}, "data": {"seed": [0, 1]}}), "lrray study model_size"),
    (_run({}), "lrray study earlier_work"),
    ({"first": {"seeds": [0, 1], "gssm": _GRAPH}}, "lrray study difficulty graph="),
    ({"small_X": {"gssm": _GRAPH, "sets": [{"n_data": 10}]}}, "lrray data make finite_data"),
    ({"method": "grid", "parameters": {"lr": {"value": 1}}}, "lrray sweep import"),
    ({"cluster_name": "a", "provider": {"type": "aws"}}, "lrray submit"),
    ({"defaults": ["_self_", {"db": "mysql"}], "lr": 1}, "a study of kind function"),
    ({"compute_environment": "LOCAL_MACHINE", "distributed_type": "FSDP"}, "under finetune:"),
    (_GRAPH, "lrray study difficulty graph="),
]  # fmt: skip


@pytest.mark.parametrize(("data", "instead"), FILES)
def test_a_file_of_another_tool_is_answered_with_the_study_and_the_page(data, instead, tmp_path):
    file = tmp_path / "theirs.yaml"
    file.write_text(dump_yaml(data), encoding="utf-8")
    with pytest.raises(LrrayError) as error:
        load_study(str(file))
    assert instead in str(error.value)
    assert PAGE in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [data for data, _ in FILES])
def test_the_study_that_is_named_loads(data, tmp_path):
    words = shlex.split(recognise(data).instead)
    if words[:2] == ["lrray", "study"]:
        graph = tmp_path / "graph.yaml"
        graph.write_text(dump_yaml(_GRAPH), encoding="utf-8")
        assert load_study(words[2], [w.split("=")[0] + f"={graph}" if w.startswith("graph=") else w
                                     for w in words[3:]]).points  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"question": "Why?"},
        {"train_datasets": 5, "eval_datasets": None},
        {"run_config": None},
        {"launcher": 3, "run_config": {}},
        {"launcher": {"grid": [1]}, "run_config": {}},
        {"nodes": "all"},
        {"defaults": {}},
        {"gssm": []},
    ],
)
def test_strange_values_under_known_keys_are_no_reason_to_stumble(data, tmp_path):
    file = tmp_path / "theirs.yaml"
    file.write_text(dump_yaml(data), encoding="utf-8")
    with pytest.raises(LrrayError):
        load_study(str(file))


def test_a_kind_that_is_misspelt_is_still_told_as_that(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(dump_yaml({"kind": "dificulty", **_GRAPH}), encoding="utf-8")
    with pytest.raises(LrrayError, match="did you mean 'difficulty'"):
        load_study(str(file))


def test_the_page_is_there():
    assert (ROOT / PAGE).is_file()
