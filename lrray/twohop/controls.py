"""Positive controls: questions that a model which can join two hops at all must get right.

In context, both hops of a person stand before the question, among others'. With worked examples,
the model sees how questions about three other people are reasoned out, then reasons itself. A model
that fails here cannot show by failing elsewhere that it does not compose silently.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrray.twohop.facts import Entity, Facts
from lrray.twohop.rows import Message, Row
from lrray.twohop.splits import BuildConfig, Splits

NUM_EXAMPLES = 3
"""Worked examples before a question."""


@dataclass(frozen=True)
class Controls:
    """Rows of all attributes."""

    context: tuple[Row, ...] = ()
    """To be answered at once from what stands before the question."""
    worked: tuple[Row, ...] = ()
    """To be reasoned out as the examples before the question are."""


NO_CONTROLS = Controls()


def worked_answer(facts: Facts, entity: Entity, attribute: str) -> str:
    """``It is U. U is in the country of C.``: the person's name must not come up again.

    Reading a name once more, the tiny world falls back on copying it.
    """
    about = facts.attributes[attribute]
    fact = about.statement.format(entity=entity.name, value=entity.facts[attribute].text)
    return f"It is {entity.name}. {fact}"


def with_worked_examples(
    facts: Facts, owners: Mapping[str, Entity], splits: Splits, build: BuildConfig
) -> tuple[Row, ...]:
    """Questions to be reasoned out, each after examples of people with other answers.

    Args:
        facts: of the dataset.
        owners: entity of each person.
        splits: whose questions are asked.
        build: with the seed, which decides who the examples are.
    """
    rows = []
    for split in splits.attributes.values():
        for i, row in enumerate(split.cot):
            wrong = [j for j in range(len(split.cot)) if not split.right[i][j]]
            rng = random.Random(f"{build.seed}/{row['person']}/{row['attribute']}/worked")
            chosen = rng.sample(wrong, min(NUM_EXAMPLES, len(wrong)))
            examples = [turns for j in chosen for turns in _worked(facts, owners, split.cot[j])]
            rows.append(_after(row, examples))
    return tuple(rows)


def _worked(facts: Facts, owners: Mapping[str, Entity], row: Row) -> list[Message]:
    answer = worked_answer(facts, owners[row["person"]], row["attribute"])
    return [
        {"role": "user", "content": row["question"]},
        {"role": "assistant", "content": answer},
    ]


def _after(row: Row, examples: Sequence[Message]) -> Row:
    system = [message for message in row["messages"] if message["role"] == "system"]
    turns = [message for message in row["messages"] if message["role"] != "system"]
    return {**row, "messages": [*system, *examples, *turns]}
