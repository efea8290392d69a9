"""What a GraphQL query asks for: its fields, nested, with aliases and fragments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\.\.\.\s*\w+|\(|\)|[{}]|\w+(?:\s*:\s*\w+)?|[^\s]")

Selection = dict[str, Any]


def selection(query: str) -> Selection:
    """The fields that a query asks for, nested, its fragments put in."""
    text = re.sub(r"#.*", "", query)
    # Arguments and the types of variables hold no field.
    while (shorter := re.sub(r"\([^()]*\)", "", text)) != text:
        text = shorter
    fragments: dict[str, Selection] = {}
    asked: Selection = {}
    for match in re.finditer(r"(query|mutation|fragment)\s+(\w+)[^{]*", text):
        tokens = iter(_TOKEN.findall(text[match.end() + 1 :]))
        fields = _fields(tokens)
        if match[1] == "fragment":
            fragments[match[2]] = fields
        else:
            asked = fields
    return _with_fragments(asked, fragments)


def _fields(tokens: Any) -> Selection:
    fields: Selection = {}
    last = ""
    for token in tokens:
        if token == "}":
            return fields
        if token == "{":
            fields[last] = _fields(tokens)
        else:
            last = token
            fields.setdefault(last, {})
    return fields


def _with_fragments(fields: Selection, fragments: Mapping[str, Selection]) -> Selection:
    whole: Selection = {}
    for name, inner in fields.items():
        if name.startswith("..."):
            whole |= _with_fragments(fragments[name.removeprefix("...").strip()], fragments)
        else:
            whole[name] = _with_fragments(inner, fragments)
    return whole


def only(data: Any, fields: Selection) -> Any:
    """The fields asked for; a field that the server does not have is an error of this file."""
    if isinstance(data, list):
        return [only(item, fields) for item in data]
    if not fields or not isinstance(data, dict):
        return data
    # An alias is asked for as ``alias: name``.
    pairs = [(name.partition(":")[0].strip(), name.split(":")[-1].strip()) for name in fields]
    return {
        alias: only(data[name], inner)
        for (alias, name), inner in zip(pairs, fields.values(), strict=True)
    }
