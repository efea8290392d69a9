"""One row of a split: a question to a chat model with all that grading its answer needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from lrray.config import Settings
from lrray.twohop.facts import Entity, Facts
from lrray.twohop.text import folded, stands_in

FIRST_HOP = "first_hop"


class Message(TypedDict):
    """One turn of a chat."""

    role: str
    content: str


class Row(TypedDict):
    """A line of a split's JSONL file; every file has these columns."""

    messages: list[Message]
    """The chat. The last message is the expected answer: leave it off to let a model answer."""
    question: str
    answer: str
    answers: list[str]
    """The answer, then its aliases."""
    answer_intermediate: str
    """The entity (e2)."""
    intermediates: list[str]
    """All names of the entity."""
    not_inside: list[str]
    """Names in which an answer earns no credit, and those of other things in which the entity
    does not count as named."""
    rivals: list[str]
    """Answers that are right for other entities and not for this one."""
    within: str
    """Of a city its country, where the facts tell it; else empty."""
    case_sensitive: bool
    person: str
    dataset: str
    attribute: str
    """``first_hop`` in the training split."""
    category: str
    value_in_name: bool
    """The true answer stands in the entity's name, so plain substring grading credits an echo."""
    shuffle: int
    """0 for true answers, else which of the shuffles this row belongs to."""
    fixed_point: bool
    """The shuffle left this row an answer that is right."""


class Prompts(Settings):
    """System messages; an empty one is left out, for models whose template takes none."""

    first_hop: str = "Answer the question."
    """Of the training rows, and of questions about the entity itself."""
    nocot: str = "Answer the question at once, with the answer alone and no other words."
    """Asks for an answer without reasoning."""
    cot: str = "Answer the question step by step: reason first, then give the answer."
    """Asks for the reasoning too."""


def first_hop_row(facts: Facts, person: str, entity: Entity, prompts: Prompts) -> Row:
    """The fact to be learnt: which entity ``person`` is tied to."""
    others = _names_of_others(facts, entity)
    question = facts.first_hop.question.format(person=person)
    return {
        "messages": chat(prompts.first_hop, question, entity.name),
        "question": question,
        "answer": entity.name,
        "answers": list(entity.names),
        "answer_intermediate": entity.name,
        "intermediates": list(entity.names),
        "not_inside": [person, *_longer_names(entity.names, others)],
        "rivals": others,
        "within": "",
        "case_sensitive": False,
        "person": person,
        "dataset": facts.dataset,
        "attribute": FIRST_HOP,
        "category": FIRST_HOP,
        "value_in_name": False,
        "shuffle": 0,
        "fixed_point": False,
    }


def two_hop_row(facts: Facts, person: str, entity: Entity, attribute: str, system: str) -> Row:
    """The question whose answer takes both hops."""
    about = facts.attributes[attribute]
    answers = facts.answers(entity, attribute)
    rest = [other for other in facts.entities if other != entity]
    others = [name for other in rest for name in facts.answers(other, attribute)]
    names = _names_of_others(facts, entity)
    longer = _longer_names(answers, [*others, *names]), _longer_names(entity.names, names)
    accepted = set(map(folded, answers))
    question = facts.two_hop_question(person, attribute)
    return {
        "messages": chat(system, question, answers[0]),
        "question": question,
        "answer": answers[0],
        "answers": list(answers),
        "answer_intermediate": entity.name,
        "intermediates": list(entity.names),
        "not_inside": list(dict.fromkeys([person, *entity.names, *longer[0], *longer[1]])),
        "rivals": [name for name in dict.fromkeys(others) if folded(name) not in accepted],
        "within": _country(facts, entity) if about.category == "city" else "",
        "case_sensitive": about.type == "symbol",
        "person": person,
        "dataset": facts.dataset,
        "attribute": attribute,
        "category": about.category,
        "value_in_name": facts.value_is_in_name(entity, attribute),
        "shuffle": 0,
        "fixed_point": False,
    }


def _country(facts: Facts, entity: Entity) -> str:
    """The country of an entity, where the facts have one that is certain."""
    found = (name for name, about in facts.attributes.items() if about.category == "country")
    name = next(found, None)
    if name is None or entity.facts[name].uncertain:
        return ""
    return entity.facts[name].text


def with_question(row: Row, question: str, system: str) -> Row:
    """The row with another question or system message."""
    return {**row, "question": question, "messages": chat(system, question, row["answer"])}


def with_answer_of(row: Row, donor: Row, *, shuffle: int, fixed_point: bool) -> Row:
    """The row with the answer of ``donor``, as the shuffle of that number has it."""
    system = next((m["content"] for m in row["messages"] if m["role"] == "system"), "")
    return {
        **row,
        "messages": chat(system, row["question"], donor["answer"]),
        "answer": donor["answer"],
        "answers": donor["answers"],
        "shuffle": shuffle,
        "fixed_point": fixed_point,
    }


def chat(system: str, question: str, answer: str) -> list[Message]:
    """The turns of one question and its answer."""
    turns: list[Message] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return [{"role": "system", "content": system}, *turns] if system else turns


def _names_of_others(facts: Facts, entity: Entity) -> list[str]:
    return [name for other in facts.entities if other != entity for name in other.names]


def _longer_names(answers: Iterable[str], others: Iterable[str]) -> list[str]:
    """Names of something else that hold one of ``answers``: "Deneb Algedi" where it is "Deneb"."""
    accepted = {folded(answer) for answer in answers}
    candidates = [name for name in dict.fromkeys(others) if folded(name) not in accepted]
    return [
        name
        for name in candidates
        if any(part in folded(name) and stands_in(part, name) for part in accepted)
    ]
