"""Rules that a facts file must keep beyond its types; every broken one is reported, not the first.

The rules serve the measurement: names and answers must be unambiguous, every question must be
askable of every entity, and an answer must be tellable from an echo of the entity's name.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from lrray.errors import LrrayError, did_you_mean
from lrray.twohop.facts.schema import Attribute, Entity, Facts
from lrray.twohop.text import folded

RESERVED_ATTRIBUTE = "first_hop"
"""Name of the split that holds the trained facts, so no attribute may take it."""


def broken_rules(facts: Facts, where: str) -> list[LrrayError]:
    """All broken rules, one error each; ``where`` names the file."""
    if len(facts.entities) < 2:
        return [LrrayError(f"{where}: entities", "must be at least 2", fix="add entities")]
    return [
        *_templates(facts, where),
        *_attributes(facts, where),
        *_unique_names(facts, where),
        *(error for i in range(len(facts.entities)) for error in _entity(facts, i, where)),
    ]


def _templates(facts: Facts, where: str) -> Iterator[LrrayError]:
    wanted = [
        ("first_hop.question", facts.first_hop.question, {"person"}),
        ("first_hop.description", facts.first_hop.description, {"person"}),
        ("first_hop.statement", facts.first_hop.statement, {"person", "entity"}),
    ]
    for name, attribute in facts.attributes.items():
        wanted.append((f"attributes.{name}.question", attribute.question, {"entity"}))
        wanted.append((f"attributes.{name}.statement", attribute.statement, {"entity", "value"}))
    for path, template, fields in wanted:
        if _fields(template) != sorted(fields):
            braced = " and ".join(f"{{{field}}}" for field in sorted(fields))
            yield LrrayError(
                f"{where}: {path}",
                f"must hold {braced} once each and no other braces",
                got=template,
                fix=f"write {braced}",
            )


def _fields(template: str) -> list[str]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return ["unbalanced braces"]
    return sorted(field for _, field, _, _ in parts if field is not None)


def _attributes(facts: Facts, where: str) -> Iterator[LrrayError]:
    for name, attribute in facts.attributes.items():
        path = f"{where}: attributes.{name}"
        if name == RESERVED_ATTRIBUTE:
            yield LrrayError(path, "this name is taken by the trained facts", fix="rename it")
        values = {entity.facts[name].text for entity in facts.entities if name in entity.facts}
        for value in attribute.aliases:
            if value not in values:
                yield LrrayError(
                    f"{path}.aliases", f"no entity has {value!r}", fix=did_you_mean(value, values)
                )


def _unique_names(facts: Facts, where: str) -> Iterator[LrrayError]:
    owners: dict[str, str] = {}
    for i, entity in enumerate(facts.entities):
        for name in entity.names:
            owner = owners.setdefault(folded(name), entity.name)
            if owner != entity.name or (name == entity.name and i != _first(facts, name)):
                yield LrrayError(
                    f"{where}: entities[{i}]",
                    f"the name {name!r} belongs to {owner!r} already",
                    fix="remove one of them",
                )


def _first(facts: Facts, name: str) -> int:
    return next(i for i, entity in enumerate(facts.entities) if entity.name == name)


def _entity(facts: Facts, i: int, where: str) -> Iterator[LrrayError]:
    entity, path = facts.entities[i], f"{where}: entities[{i}].facts"
    for name in facts.attributes:
        if name not in entity.facts:
            yield LrrayError(
                path, f"{entity.name!r} lacks {name!r}", fix="add it, uncertain: true if in doubt"
            )
    for name in entity.facts:
        if name in facts.attributes:
            yield from _fact(facts, entity, name, f"{path}.{name}")
        else:
            yield LrrayError(
                path, f"unknown attribute {name!r}", fix=did_you_mean(name, facts.attributes)
            )


def _fact(facts: Facts, entity: Entity, name: str, path: str) -> Iterator[LrrayError]:
    value = entity.facts[name].value
    yield from _value(facts.attributes[name], value, path)
    names = {folded(own) for own in entity.names}
    # Uncertain facts are not asked; who asks for them all the same gets no credit for such an echo.
    for answer in facts.answers(entity, name):
        if folded(answer) in names and not entity.facts[name].uncertain:
            yield LrrayError(
                path,
                f"the answer {answer!r} is a name of the entity, so an echo would score",
                fix="use a longer name, drop the alias or choose another entity",
            )


def _value(attribute: Attribute, value: int | str, path: str) -> Iterator[LrrayError]:
    if attribute.type != "integer":
        if isinstance(value, int):
            yield LrrayError(path, "must be text", got=value, fix="put it in quotes")
        return
    if isinstance(value, str):
        yield LrrayError(path, "must be a whole number", got=value, fix="write digits alone")
    elif attribute.bounds and not attribute.bounds[0] <= value <= attribute.bounds[1]:
        low, high = attribute.bounds
        yield LrrayError(
            path, f"must lie within {low} and {high}", got=value, fix="mend the fact or the range"
        )
