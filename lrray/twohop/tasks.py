"""Variants of the experiment: which facts are invented, and in which documents they stand."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from lrray.twohop.config import TaskName
from lrray.twohop.controls import NO_CONTROLS, Controls, with_worked_examples
from lrray.twohop.facts import Entity, Facts
from lrray.twohop.rows import Message, Row, chat, with_answer_of
from lrray.twohop.splits import AttributeSplits, BuildConfig, Splits, make_splits

NUM_DISTRACTORS = 3
"""Facts about other people that stand between the two hops of a person, or beside them."""

_FIRST = "Bre Cal Dor Fen Gal Hul Jor Kel Lum Mar Nev Orm Pel Quo Ras Sel Tor Ul Vel Zan"
_SECOND = "bach dane fell gard holm ith keld lor mere nor pont quin rath stow tran vane wick"


@dataclass(frozen=True)
class Task:
    """What is trained and what is asked."""

    splits: Splits
    training: list[list[Message]]
    """The chats of an epoch; the last message of each carries the loss."""
    known: Splits
    """Of the real facts, which the tiny world is taught beforehand."""
    names: tuple[str, ...] = ()
    """Invented names, each one token of the tiny world."""
    controls: Controls = NO_CONTROLS
    """Questions that show whether the model can join two hops at all."""


def make_task(name: TaskName, facts: Facts, build: BuildConfig) -> Task:
    """Builds a variant.

    ``semi_synthetic``: the first hop is invented and trained, the second real and known.
    ``fully_synthetic``: both are invented and trained, in chats of their own.
    ``same_document``: both are trained, the second in a chat that also holds the first;
    ``same_document_distractors``: with facts about other people between them.
    ``in_context``: both are invented and stand before the question, among others; nothing is
    trained.
    """
    real = make_splits(facts, build)
    if name == "semi_synthetic":
        training = [row["messages"] for row in real.first_hop]
        return Task(real, training, real, controls=_controls(facts, real, build))
    made = invented(facts, build.seed)
    splits = make_splits(made, build)
    names = tuple(entity.name for entity in made.entities)
    if name == "in_context":
        return Task(_with_context(made, splits, build), [], real, names)
    controls = _controls(made, splits, build)
    first = [row["messages"] for row in splits.first_hop]
    second = [row for split in splits.attributes.values() for row in split.second_hop]
    if name != "fully_synthetic":
        count = NUM_DISTRACTORS if name == "same_document_distractors" else 0
        documents = _documents(splits, second, build, count)
        return Task(splits, first + documents, real, names, controls)
    return Task(splits, first + [row["messages"] for row in second], real, names, controls)


def _controls(facts: Facts, splits: Splits, build: BuildConfig) -> Controls:
    told = _with_context(facts, splits, build).attributes.values()
    return Controls(
        context=tuple(row for split in told for row in split.nocot),
        worked=with_worked_examples(facts, _owners(facts, splits), splits, build),
    )


def _owners(facts: Facts, splits: Splits) -> dict[str, Entity]:
    """Entity of each person."""
    entities = {entity.name: entity for entity in facts.entities}
    return {row["person"]: entities[row["answer"]] for row in splits.first_hop}


def invented(facts: Facts, seed: int) -> Facts:
    """The same questions about entities that do not exist, with real values dealt at random."""
    rng = random.Random(f"{seed}/{facts.dataset}/invented")
    names = [first + second for first, second in product(_FIRST.split(), _SECOND.split())]
    rng.shuffle(names)
    dealt = {
        attribute: rng.sample(facts.entities, len(facts.entities)) for attribute in facts.attributes
    }
    entities = tuple(
        Entity(
            name=names[i],
            facts={
                name: donors[i].facts[name].model_copy(update={"uncertain": False})
                for name, donors in dealt.items()
            },
        )
        for i in range(len(facts.entities))
    )
    return facts.model_copy(update={"entities": entities})


def _documents(
    splits: Splits, second: Sequence[Row], build: BuildConfig, num_distractors: int
) -> list[list[Message]]:
    """Chats in which a person's first hop comes before the second hop, as turns of their own."""
    first = {row["person"]: row for row in splits.first_hop}
    documents = []
    for row in second:
        rng = random.Random(f"{build.seed}/{row['person']}/{row['attribute']}/document")
        others = [other for person, other in first.items() if person != row["person"]]
        between = rng.sample(others, min(num_distractors, len(others)))
        turns = [turn for other in (first[row["person"]], *between) for turn in _turns(other)]
        documents.append([*_system(row), *turns, *_turns(row)])
    return documents


def _with_context(facts: Facts, splits: Splits, build: BuildConfig) -> Splits:
    """The splits with both hops of a person and of some others before each question.

    For each attribute the people stand in a ring, in random order, and a context tells of a person
    and the next ones. In a shuffle everybody gets the answer of the person that many places on. So
    answers are permuted among the people, and a wrong answer stands in the context as the right one
    does: what copies any answer from there has no gap.
    """
    owners = _owners(facts, splits)

    def given(rows: Sequence[Row]) -> list[Row]:
        shown = _shown(rows, build)
        return [
            _given(row, _context(facts, owners, row, [rows[j]["person"] for j in shown[i]], build))
            for i, row in enumerate(rows)
        ]

    return Splits(
        first_hop=given(splits.first_hop),
        attributes={
            name: replace(
                split,
                nocot=given(split.nocot),
                cot=given(split.cot),
                nocot_shuffled=[
                    row for rows in _shuffled_in_context(split, build) for row in given(rows)
                ],
                second_hop=given(split.second_hop),
                shown=_shown(split.nocot, build),
            )
            for name, split in splits.attributes.items()
        },
    )


def _shown(rows: Sequence[Row], build: BuildConfig) -> list[list[int]]:
    """For each row itself and the rows whose facts its context holds, in the order of the ring."""
    ring = list(range(len(rows)))
    random.Random(f"{build.seed}/{rows[0]['attribute']}/context").shuffle(ring)
    size = min(1 + NUM_DISTRACTORS, len(ring))
    shown = {row: [ring[(i + k) % len(ring)] for k in range(size)] for i, row in enumerate(ring)}
    return [shown[i] for i in range(len(rows))]


def _shuffled_in_context(split: AttributeSplits, build: BuildConfig) -> list[list[Row]]:
    """The rows of each shuffle, of which there are as many as other people in a context."""
    shown, rows = _shown(split.nocot, build), split.nocot
    return [
        [
            with_answer_of(
                row, rows[shown[i][k]], shuffle=k, fixed_point=split.right[i][shown[i][k]]
            )
            for i, row in enumerate(rows)
        ]
        for k in range(1, len(shown[0]))
    ]


def _given(row: Row, context: str) -> Row:
    system = next((m["content"] for m in _system(row)), "")
    return {**row, "messages": chat(system, f"{context} {row['question']}", row["answer"])}


def _context(
    facts: Facts, owners: Mapping[str, Entity], row: Row, told: Sequence[str], build: BuildConfig
) -> str:
    """Both hops of the people told of, sentence by sentence in random order.

    A question and its shuffled counterparts have the same context.
    """
    about = facts.attributes.get(row["attribute"])
    sentences = []
    for person in told:
        entity = owners[person]
        sentences.append(facts.first_hop.statement.format(person=person, entity=entity.name))
        if about is not None:
            value = entity.facts[row["attribute"]].text
            sentences.append(about.statement.format(entity=entity.name, value=value))
    random.Random(f"{build.seed}/{row['person']}/{row['attribute']}/context").shuffle(sentences)
    return " ".join(sentences)


def _system(row: Row) -> list[Message]:
    return [message for message in row["messages"] if message["role"] == "system"]


def _turns(row: Row) -> list[Message]:
    return [message for message in row["messages"] if message["role"] != "system"]
