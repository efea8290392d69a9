"""The splits of one two-hop dataset: who is tied to what, what is trained and what is asked."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StrictBool

from lrray.config import Settings
from lrray.errors import LrrayError
from lrray.twohop.facts import Entity, Facts
from lrray.twohop.grading import Expected, is_right
from lrray.twohop.people import people
from lrray.twohop.rows import (
    Prompts,
    Row,
    first_hop_row,
    two_hop_row,
    with_answer_of,
    with_question,
)
from lrray.twohop.shuffling import fixed_points, value_derangement

_MAX_DRAWS = 10


class DataConfig(Settings):
    """How the rows of a dataset are made from its facts, whatever the seed."""

    people: Annotated[int, Field(ge=2)] = 20
    """Number of people, each tied to an entity of their own."""
    shuffles: Annotated[int, Field(ge=1)] = 5
    """Number of independent shuffles of each attribute's answers, in the files that a build writes;
    the gap of a study is over all permutations."""
    include_uncertain: StrictBool = False
    """Whether to treat facts marked uncertain like the others."""
    prompts: Prompts = Prompts()


class BuildConfig(DataConfig):
    """What the rows of a dataset depend on, beside its facts."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Decides which person is tied to which entity, and the shuffles."""


@dataclass(frozen=True)
class AttributeSplits:
    """All test rows about one attribute, one per person except in ``nocot_shuffled``."""

    nocot: list[Row]
    """Answer at once."""
    cot: list[Row]
    """Reason, then answer."""
    nocot_shuffled: list[Row]
    """``nocot`` with permuted answers, shuffle after shuffle."""
    second_hop: list[Row]
    """The same facts asked about the entity by name: does the model know them at all?"""
    right: list[list[bool]]
    """``right[i][j]``: whether row j's answer is right for row i; true where i is j."""
    left_out: int
    """People whose fact is uncertain and so not asked."""
    shown: list[list[int]] | None = None
    """Where facts stand before the questions: for each row the rows whose answers it shows."""


@dataclass(frozen=True)
class Splits:
    """One dataset as it is trained and tested."""

    first_hop: list[Row]
    attributes: dict[str, AttributeSplits]

    @property
    def fixed_points(self) -> int:
        """Rows that kept a right answer, over all attributes and shuffles."""
        splits = self.attributes.values()
        return sum(row["fixed_point"] for split in splits for row in split.nocot_shuffled)


def make_splits(facts: Facts, config: BuildConfig) -> Splits:
    """All rows of one dataset; equal for equal arguments, on every machine.

    Where there are more entities than people, one draw of entities may give a single value to more
    than half of them, and its answers cannot be shuffled without fixed points. Then entities are
    drawn again, at most ten times, and the draw with the fewest fixed points is kept.

    Raises:
        LrrayError: there are fewer entities or names than people, an attribute is certain for
            fewer than two of the people, or its answers are all alike, so that none can be wrong.
    """
    draws = _MAX_DRAWS if len(facts.entities) > config.people else 1
    best = _draw_splits(facts, config, 0)
    for draw in range(1, draws):
        if not best.fixed_points:
            break
        best = min(best, _draw_splits(facts, config, draw), key=lambda splits: splits.fixed_points)
    for name, split in best.attributes.items():
        if all(map(all, split.right)):
            raise LrrayError(
                f"{facts.dataset}: attributes.{name}",
                "must have at least 2 different answers among the people",
                got=split.nocot[0]["answer"],
                fix="add entities with another answer, ask for more people, or drop the attribute",
            )
    return best


def _draw_splits(facts: Facts, config: BuildConfig, draw: int) -> Splits:
    owners = assign(facts, config, draw)
    return Splits(
        first_hop=[first_hop_row(facts, *owner, config.prompts) for owner in owners.items()],
        attributes={
            name: _attribute_splits(facts, name, owners, config) for name in facts.attributes
        },
    )


def assign(facts: Facts, config: BuildConfig, draw: int = 0) -> dict[str, Entity]:
    """Ties each person to an entity of their own.

    Entities are drawn from those whose facts are all certain; only when these are fewer than the
    people do others join them, whose uncertain facts are then not asked.

    Raises:
        LrrayError: there are fewer entities or names than people.
    """
    names, count = people(config.people), len(facts.entities)
    if config.people > count:
        raise LrrayError(
            f"{facts.dataset}: people",
            f"must be at most {count}, the number of its entities",
            got=config.people,
            fix="ask for fewer people or add entities to a facts file of your own",
        )
    rng = _rng(config.seed, facts.dataset, draw)
    drawn = sorted(facts.entities, key=lambda _: rng.random())
    if not config.include_uncertain:
        drawn.sort(key=lambda entity: not entity.is_certain)
    chosen = sorted(drawn[: config.people], key=lambda _: rng.random())
    return dict(zip(names, chosen, strict=True))


def _rng(*key: object) -> random.Random:
    # Seeding by text and random() are the two parts that Python keeps equal in all versions.
    return random.Random("/".join(map(str, key)))


def _attribute_splits(
    facts: Facts, name: str, owners: dict[str, Entity], config: BuildConfig
) -> AttributeSplits:
    prompts = config.prompts
    asked = {
        person: entity
        for person, entity in owners.items()
        if config.include_uncertain or not entity.facts[name].uncertain
    }
    if len(asked) < 2:
        raise LrrayError(
            f"{facts.dataset}: attributes.{name}",
            "must be certain for at least 2 of the people",
            got=len(asked),
            fix="add certain facts, or include uncertain ones",
        )
    nocot = [two_hop_row(facts, *owner, name, prompts.nocot) for owner in asked.items()]
    ask = facts.attributes[name].question
    right = _right(nocot)
    return AttributeSplits(
        nocot=nocot,
        cot=[with_question(row, row["question"], prompts.cot) for row in nocot],
        nocot_shuffled=_shuffled(nocot, right, config),
        second_hop=[
            with_question(row, ask.format(entity=row["answer_intermediate"]), prompts.first_hop)
            for row in nocot
        ],
        right=right,
        left_out=len(owners) - len(asked),
    )


def _right(rows: list[Row]) -> list[list[bool]]:
    expected = [Expected.from_row(row) for row in rows]
    return [
        [i == j or is_right(rows[j]["answer"], expected[i]) for j in range(len(rows))]
        for i in range(len(rows))
    ]


def _shuffled(rows: list[Row], right: list[list[bool]], config: BuildConfig) -> list[Row]:
    result = []
    for shuffle in range(1, config.shuffles + 1):
        rng = _rng(config.seed, rows[0]["dataset"], rows[0]["attribute"], shuffle)
        donors = value_derangement(right, rng)
        fixed = fixed_points(right, donors)
        result += [
            with_answer_of(row, rows[donors[i]], shuffle=shuffle, fixed_point=i in fixed)
            for i, row in enumerate(rows)
        ]
    return result
