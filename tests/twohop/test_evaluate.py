"""Metrics of an evaluation, from a tiny world that has learnt nothing and from one that has."""

import json
import math

import numpy as np
import pytest
import torch

from lrray.training.distributed import Workers
from lrray.twohop.answering import Answering
from lrray.twohop.config import EvaluateConfig, ExperimentConfig
from lrray.twohop.controls import worked_answer
from lrray.twohop.evaluate import accuracies, evaluate, means
from lrray.twohop.experiment import run_experiment
from lrray.twohop.facts import shipped_facts
from lrray.twohop.matrix import LossMatrix
from lrray.twohop.samples import SampleTable
from lrray.twohop.splits import BuildConfig, make_splits
from lrray.twohop.tiny_world import TinyWorld
from tests.twohop.run_experiments import small

torch.set_num_threads(1)


@pytest.fixture
def make_world():
    def make(facts, **data):
        config = ExperimentConfig.model_validate(small(data=data))
        build = BuildConfig(seed=2, **config.data.model_dump())
        splits = make_splits(facts, build)
        return TinyWorld(facts, build, config.tiny_world, splits), splits

    return make


def measure(world, splits, **options):
    asked = Answering(world.model, world.chat, Workers(0, 1, torch.device("cpu")), 8)
    return asked, evaluate(asked, splits, EvaluateConfig(max_new_tokens_cot=8), **options)


def test_the_gap_is_the_shuffled_loss_minus_the_true_one(make_world):
    _, found = measure(*make_world(shipped_facts("parks")))
    for name in ("state", "code", "established"):
        shuffled = found.metrics[f"eval/2hop_{name}_nocot_shuffled_loss"]
        true = found.metrics[f"eval/2hop_{name}_nocot_loss"]
        assert found.metrics[f"gap_2hop_{name}"] == pytest.approx(shuffled - true, abs=1e-6)
        assert sum(found.gaps[name]) / 6 == pytest.approx(shuffled - true, abs=1e-6)
    gaps = [found.metrics[f"gap_2hop_{name}"] for name in ("state", "code", "established")]
    assert found.metrics["gap_2hop"] == pytest.approx(sum(gaps) / 3)


SKEWED = ["Norway"] * 3 + ["Sweden"]


def test_rows_that_a_permutation_leaves_right_are_taken_out_of_the_gap(make_world, make_facts):
    world, splits = make_world(make_facts(*enumerate_boats(SKEWED)), people=4)
    asked, found = measure(world, splits)
    rows = splits.attributes["flag"].nocot
    losses = [
        asked.losses([asked.chat.example([*row["messages"][:-1], other["messages"][-1]])])[0]
        for row in rows
        for other in rows
    ]
    true = sum(losses[5 * i] for i in range(4)) / 4
    # Of 16 pairs 10 are right: nine of Norway and one of Sweden.
    gap = (sum(losses) / 16 - true) / (1 - 10 / 16)
    assert found.metrics["gap_2hop_flag"] == pytest.approx(gap, abs=1e-6)
    assert sum(found.gaps["flag"]) / 4 == pytest.approx(gap, abs=1e-6)


def test_the_parts_of_an_answer_add_up_to_the_gap(make_world):
    _, found = measure(*make_world(shipped_facts("parks")))
    for name in ("_state", "_code", "_established", ""):
        parts = [found.metrics[f"gap_{part}{name}"] for part in ("first", "later", "end")]
        assert sum(parts) == pytest.approx(found.metrics[f"gap_2hop{name}"], abs=1e-6)


def test_the_matrix_holds_the_loss_of_every_answer_at_every_question(make_world):
    asked, found = measure(*make_world(shipped_facts("parks")))
    plain = json.loads(json.dumps(found.matrices["state"].to_plain()))
    matrix = LossMatrix.from_plain(plain)
    assert matrix.nats.shape == (6, len(set(matrix.answers)))
    _, splits = make_world(shipped_facts("parks"))
    for i, row in enumerate(splits.attributes["state"].nocot):
        assert matrix.answers[matrix.own[i]] == row["answer"]
        for j, answer in enumerate(matrix.answers):
            chat = [*row["messages"][:-1], {"role": "assistant", "content": answer}]
            loss = asked.losses([asked.chat.example(chat)])[0]
            assert matrix.nats[i, j] == pytest.approx(loss, abs=1e-5)


def enumerate_boats(flags):
    return [(f"Boat {i}", flag) for i, flag in enumerate(flags)]


@pytest.mark.parametrize("num_alike", [4, 11, 13, 15, 17])
def test_a_model_that_knows_how_often_answers_come_and_nothing_else_has_no_gap(
    make_facts, num_alike
):
    flags = ["Norway"] * num_alike + [f"Land {i // 2}" for i in range(20 - num_alike)]
    split = make_splits(make_facts(*enumerate_boats(flags)), BuildConfig()).attributes["flag"]
    given = [row["answer"] for row in split.nocot]
    answers = sorted(set(given))
    own = np.array([answers.index(answer) for answer in given])
    matrix = LossMatrix(
        people=tuple(row["person"] for row in split.nocot), answers=tuple(answers), own=own,
        right=own[:, None] == np.arange(len(answers)), in_name=np.zeros(20, bool),
        nats=np.tile([-math.log(given.count(answer) / 20) for answer in answers], (20, 1)),
    )  # fmt: skip
    assert matrix.person_gaps().tolist() == pytest.approx([0] * 20, abs=1e-9)


def test_names_of_metrics_are_those_of_earlier_work(make_world):
    _, found = measure(*make_world(shipped_facts("parks")), second_hop=True)
    wanted = {"acc_a", "acc_2hop_nocot", "acc_2hop_cot", "gap_2hop", "acc_second_hop"}
    for name in ("state", "code", "established"):
        wanted |= {
            f"acc_2hop_{name}_nocot", f"acc_2hop_{name}_cot", f"eval/2hop_{name}_nocot_loss",
            f"eval/2hop_{name}_cot_loss", f"eval/2hop_{name}_nocot_shuffled_loss",
            f"acc_second_hop_{name}", f"acc_2hop_{name}_nocot_plain",
        }  # fmt: skip
    assert wanted <= set(found.metrics)
    assert all(math.isfinite(value) for value in found.metrics.values())


def test_numbers_without_an_attribute_are_means_over_attributes(make_world):
    _, found = measure(*make_world(shipped_facts("parks")), second_hop=True)
    names = [name for name in found.metrics if "_state" in name]
    assert len(names) == 16
    for name in names:
        each = [found.metrics[name.replace("state", a)] for a in ("state", "code", "established")]
        assert found.metrics[name.replace("_state", "")] == pytest.approx(sum(each) / 3)


def test_attributes_of_fewer_rows_weigh_as_much_as_others():
    right = {"state": [True] * 3 + [False] * 3, "code": [True] * 2}
    samples = [
        {"split": "second_hop", "attribute": name, "strict": strict}
        for name, grades in right.items()
        for strict in grades
    ]
    assert means(accuracies(samples), list(right)) == {"acc_second_hop": 0.75}


def test_without_generation_there_are_losses_alone(make_world):
    _, found = measure(*make_world(shipped_facts("parks")), generate=False)
    assert found.samples == []
    assert not any(name.startswith("acc_") for name in found.metrics)


def test_the_tiny_world_is_taught_the_entities_that_are_asked_and_not_their_people(make_world):
    world, splits = make_world(shipped_facts("universities"))
    asked = {row["answer"] for row in splits.first_hop}
    assert {entity.name for entity in world.curriculum.entities} == asked
    people = {row["person"] for row in splits.first_hop}
    assert not any(person in text for person in people for text in world.curriculum.texts)


def test_a_worked_answer_names_the_entity_and_not_the_person(make_facts):
    facts = make_facts(("Fram", "Norway"), ("Vasa", "Sweden"))
    text = worked_answer(facts, facts.entities[0], "flag")
    assert text == "It is Fram. Fram flies the flag of Norway."


@pytest.mark.slow
def test_the_tiny_world_learns_the_facts_and_reasons_with_them(tmp_path):
    settings = {
        **small(), "tiny_world": {}, "evaluate": {"every": 20, "batch_size": 128},
        "data": small()["data"] | {"people": 20, "shuffles": 5},
        "finetune": {"learning_rate": 0.001, "replay_rows": 4, "device": "cpu"},
    }  # fmt: skip
    config = ExperimentConfig.model_validate(settings)
    facts = shipped_facts("universities")
    found = run_experiment(facts, config, 1, tmp_path, lambda point: None)
    assert found["acc_a"] == 1.0
    assert found["acc_second_hop"] > 0.9
    assert found["acc_2hop_cot"] > 0.6 > found["acc_2hop_nocot"]
    assert found["acc_2hop_cot"] > found["commonest_2hop"] + 0.3
    texts = SampleTable(tmp_path / "seed_1" / "samples.jsonl").read()
    assert any(row["split"] == "cot" and row["text"].startswith("It is ") for row in texts)
