"""What a facts file holds: kinds of entities, their attributes, and the sentences about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, field_validator, model_validator

from lrray.config import Problem, Settings
from lrray.twohop.places import other_names
from lrray.twohop.text import folded

Category = Literal[
    "year",
    "century",
    "number",
    "country",
    "city",
    "continent",
    "region",
    "place",
    "person",
    "language",
    "organisation",
    "code",
    "style",
    "rank",
    "month",
    "star",
]
AnswerType = Literal["text", "integer", "symbol"]

Line = Annotated[str, Field(min_length=1)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _as_text(value: Any) -> str:
    """Text or a whole number as text; refuses ``no``, which YAML reads as false."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise Problem("must be text or a whole number", got=value, fix="put it in quotes")
    return str(value)


class Fact(Settings):
    """One answer about one entity. In YAML a bare value stands for ``{value: …}``."""

    value: int | str
    """The answer that a model is expected to give."""
    aliases: tuple[str, ...] = ()
    """Other answers that are right as well."""
    uncertain: StrictBool = False
    """Left out of the datasets unless asked for: sources disagree, or nobody has checked."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_value(cls, data: Any) -> Any:
        return data if isinstance(data, Mapping) else {"value": data}

    @field_validator("value", mode="before")
    @classmethod
    def _check_value(cls, value: Any) -> Any:
        _as_text(value)
        return value

    @field_validator("aliases", mode="before")
    @classmethod
    def _aliases_as_text(cls, value: Any) -> Any:
        return [_as_text(item) for item in value] if isinstance(value, list) else value

    @property
    def text(self) -> str:
        """The answer as a model would write it."""
        return str(self.value)


class Entity(Settings):
    """One real thing (e2) and what is known about it."""

    name: Line
    """The name used in training answers."""
    aliases: tuple[Line, ...] = ()
    """Other names by which a model may call it."""
    facts: dict[str, Fact]
    """One fact per attribute of the file."""

    @property
    def names(self) -> tuple[str, ...]:
        """The name, then the aliases."""
        return (self.name, *self.aliases)

    @property
    def is_certain(self) -> bool:
        """Whether no fact about it is marked uncertain."""
        return not any(fact.uncertain for fact in self.facts.values())


class FirstHop(Settings):
    """How a person (e1) is tied to an entity (e2)."""

    question: Line
    """With ``{person}``; its answer is the entity's name."""
    description: Line
    """``the national park that {person} works at``: stands for the entity in two-hop questions."""
    statement: Line
    """The same fact as a sentence, with ``{person}`` and ``{entity}``."""


class Attribute(Settings):
    """One property (e3) of every entity of the file."""

    category: Category
    """The kind of answer, for averages over attributes of one kind."""
    type: AnswerType = "text"
    """``integer``: whole numbers; ``symbol``: text whose upper and lower case matter."""
    question: Line
    """With ``{entity}``: the entity's name, or in two-hop questions its description."""
    statement: Line
    """The second hop as a sentence, with ``{entity}`` and ``{value}``."""
    range: tuple[int, int] | None = None
    """Smallest and largest integer allowed; years have 1 to 2100 unless the file says otherwise."""
    aliases: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Other answers that are right wherever that value is."""

    @field_validator("aliases", mode="before")
    @classmethod
    def _numbers_as_text(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            _as_text(key): [_as_text(item) for item in items] if isinstance(items, list) else items
            for key, items in value.items()
        }

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Range that values must keep to, if any."""
        if self.range is None and self.category == "year":
            return (1, 2100)
        return self.range


class Facts(Settings):
    """A dataset: entities of one kind, with all that is needed to ask about them."""

    dataset: Slug
    """Name of the dataset and of the folder it is built into."""
    noun: Line
    """What one entity is, in the singular: ``national park``."""
    first_hop: FirstHop
    attributes: Annotated[dict[Slug, Attribute], Field(min_length=1)]
    entities: tuple[Entity, ...]

    def answers(self, entity: Entity, attribute: str) -> tuple[str, ...]:
        """All accepted answers, the expected one first."""
        fact, about = entity.facts[attribute], self.attributes[attribute]
        found = (
            fact.text,
            *fact.aliases,
            *about.aliases.get(fact.text, ()),
            *other_names(about.category, fact.text),
        )
        spellings: dict[str, str] = {}
        for answer in found:
            spellings.setdefault(_spelling(answer, about.type), answer)
        return tuple(spellings.values())

    def two_hop_question(self, person: str, attribute: str) -> str:
        """Asks for an attribute of the entity that ``person`` is tied to, without naming it."""
        description = self.first_hop.description.format(person=person)
        return self.attributes[attribute].question.format(entity=description)

    def value_is_in_name(self, entity: Entity, attribute: str) -> bool:
        """Whether echoing the entity's name would score under plain substring grading."""
        value = entity.facts[attribute].text.lower()
        return value in entity.name.lower() or folded(value) in folded(entity.name)


def _spelling(answer: str, kind: AnswerType) -> str:
    # Where case matters ("US" is only found in capitals), each case is a spelling of its own.
    return answer if kind == "symbol" or len(answer) <= 2 else folded(answer)
