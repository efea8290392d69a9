"""Variants of the experiment: what is invented, what is trained, what stands where."""

import math
from collections import Counter

import pytest
import torch

from lrray.twohop.chance import guessing
from lrray.twohop.controls import NO_CONTROLS, NUM_EXAMPLES
from lrray.twohop.facts import shipped_facts
from lrray.twohop.facts.checks import broken_rules
from lrray.twohop.grading import Expected, is_right
from lrray.twohop.loss_metrics import person_gaps
from lrray.twohop.splits import BuildConfig
from lrray.twohop.tasks import NUM_DISTRACTORS, invented, make_task
from lrray.twohop.text import stands_in
from tests.twohop.run_experiments import run, small

torch.set_num_threads(1)
BUILD = BuildConfig(seed=1, people=8)
INVENTED = ["fully_synthetic", "same_document", "same_document_distractors", "in_context"]


@pytest.fixture
def facts():
    return shipped_facts("parks")


def test_invented_facts_deal_real_values_to_unreal_entities(facts):
    made = invented(facts, 1)
    assert broken_rules(made, "made") == []
    assert not {e.name for e in made.entities} & {e.name for e in facts.entities}
    for attribute in facts.attributes:
        before, after = (
            sorted(e.facts[attribute].text for e in table.entities) for table in (facts, made)
        )
        assert before == after
    assert invented(facts, 1) == made != invented(facts, 2)


def test_the_semi_synthetic_task_trains_the_first_hop_alone(facts):
    task = make_task("semi_synthetic", facts, BUILD)
    assert [m[-1]["content"] for m in task.training] == [
        row["answer"] for row in task.splits.first_hop
    ]


def test_both_hops_are_trained_in_chats_of_their_own(facts):
    task = make_task("fully_synthetic", facts, BUILD)
    assert len(task.training) == 8 * (1 + len(facts.attributes))
    assert all(len(messages) == 3 for messages in task.training)


@pytest.mark.parametrize(
    ("name", "between"), [("same_document", 0), ("same_document_distractors", NUM_DISTRACTORS)]
)
def test_a_document_holds_both_hops_of_a_person_in_order(facts, name, between):
    task = make_task(name, facts, BUILD)
    documents = [messages for messages in task.training if len(messages) > 3]
    assert len(documents) == 8 * len(facts.attributes)
    for messages in documents:
        entity = messages[2]["content"]
        assert entity in messages[-2]["content"]
        assert len(messages) == 1 + 2 * (2 + between)


def test_the_context_holds_both_hops_among_others(facts):
    task = make_task("in_context", facts, BUILD)
    assert task.training == []
    split = task.splits.attributes["state"]
    for row, shuffled in zip(split.nocot, split.nocot_shuffled, strict=False):
        assert f" {shuffled['answer']}." in row["messages"][1]["content"]
        text = row["messages"][1]["content"]
        assert text.endswith(row["question"])
        assert f"{row['person']} works at {row['answer_intermediate']}." in text
        assert f"{row['answer_intermediate']} is in the state of {row['answer']}." in text
        assert text.count(".") == 2 * (1 + NUM_DISTRACTORS)
        assert shuffled["messages"][1] == row["messages"][1]


@pytest.mark.parametrize("dataset", ["parks", "universities"])
def test_shuffled_answers_stand_in_the_same_context_as_often_as_right_ones(dataset):
    task = make_task("in_context", shipped_facts(dataset), BuildConfig(seed=1))
    for split in task.splits.attributes.values():
        assert [row["shuffle"] for row in split.nocot_shuffled] == [1] * 20 + [2] * 20 + [3] * 20
        for row in split.nocot_shuffled:
            assert stands_in(row["answer"], row["messages"][1]["content"])
            assert row["messages"][-1]["content"] == row["answer"]
        common = Counter(row["answer"] for row in split.nocot)
        true, shuffled = (
            [-math.log(common[row["answer"]]) for row in rows]
            for rows in (split.nocot, split.nocot_shuffled)
        )
        # What knows no more than how common an answer is has no gap.
        assert sum(person_gaps(split, true, shuffled)) == pytest.approx(0, abs=1e-9)


def test_chance_in_a_context_is_counted_over_its_answers(make_facts):
    flags = ["Peru", "Peru", "Cuba", "Chad"]
    facts = make_facts(*((f"Boat {i}", flag) for i, flag in enumerate(flags)))
    split = make_task("in_context", facts, BuildConfig(people=4)).splits.attributes["flag"]
    # All four stand in every context: two are right for half of the people, one for the others.
    assert guessing(split) == pytest.approx(((2 / 4 + 1 / 4) / 2, 1 / 2))


def test_in_context_does_with_fewer_people_than_a_context_has_room_for(facts):
    task = make_task("in_context", facts, BuildConfig(seed=1, people=3))
    for row in task.splits.attributes["state"].nocot:
        assert row["messages"][1]["content"].count(".") == 2 * 3


@pytest.mark.parametrize("name", ["semi_synthetic", "fully_synthetic", "same_document"])
def test_worked_examples_are_of_people_whose_answers_are_wrong_here(facts, name):
    task = make_task(name, facts, BUILD)
    rows = [row for split in task.splits.attributes.values() for row in split.cot]
    assert len(task.controls.worked) == len(task.controls.context) == len(rows)
    for row, asked in zip(task.controls.worked, rows, strict=True):
        system, *examples, question, answer = row["messages"]
        assert [system, question, answer] == asked["messages"]
        assert len(examples) == 2 * NUM_EXAMPLES
        for example in examples[::2]:
            assert row["person"] not in example["content"]
        for example in examples[1::2]:
            assert not is_right(example["content"], Expected.from_row(row))
            assert example["content"].startswith("It is ")


def test_the_context_of_a_control_holds_the_way_to_the_answer(facts):
    task = make_task("semi_synthetic", facts, BUILD)
    for row in task.controls.context:
        text = row["messages"][-2]["content"]
        assert f"{row['person']} works at {row['answer_intermediate']}." in text
        assert stands_in(row["answer"], text)


def test_what_stands_in_the_context_anyway_needs_no_control(facts):
    assert make_task("in_context", facts, BUILD).controls == NO_CONTROLS


@pytest.mark.parametrize("name", INVENTED)
def test_every_task_runs_to_the_end(tmp_path, name):
    epochs = 0 if name == "in_context" else 1
    found = run(small(task=name, finetune={"epochs": epochs}), tmp_path)
    assert {"acc_a", "gap_2hop", "acc_2hop_cot", "acc_second_hop_before"} <= set(found)
