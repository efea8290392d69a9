"""Typed YAML: reading, overriding and checking settings, with errors that name file and key path.

Settings are pydantic models derived from :class:`Settings`. A file is read by :func:`load_yaml`,
changed by :func:`apply_overrides` and checked by :func:`parse`; whatever a user can get wrong on
that way becomes an :class:`~lrray.errors.LrrayError` of one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from lrray.errors import LrrayError, ManyErrors, did_you_mean, shorten


class Problem(ValueError):
    """A broken rule found inside a model's own validator; :func:`parse` adds the file and key path.

    ``at`` extends the key path of the model that raises, e.g. ``"nodes[2].alpha"``.
    """

    def __init__(self, rule: str, *, at: str = "", fix: str = "", **got: object) -> None:
        self.rule, self.at, self.fix, self.got = rule, at, fix, got
        super().__init__(rule)

    def error(self, where: str) -> LrrayError:
        """The same for whoever calls without a model around it; ``where`` opens the line."""
        return LrrayError(_join(where, self.at), self.rule, fix=self.fix, **self.got)


class Settings(BaseModel):
    """Base of every settings class: immutable, strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {field.alias or name for name, field in cls.model_fields.items()}
            for key in data:
                if key not in known:
                    raise Problem(f"unknown key {key!r}", fix=did_you_mean(str(key), known))
        return data

    @model_validator(mode="before")
    @classmethod
    def _refuse_booleans_for_numbers(cls, data: Any) -> Any:
        for name, field in cls.model_fields.items() if isinstance(data, Mapping) else ():
            given = data.get(field.alias or name)
            values = given if isinstance(given, list | tuple) else [given]
            if any(isinstance(value, bool) for value in values) and _is_number(field.annotation):
                raise Problem("must be a number", at=name, got=given, fix="write e.g. 4")
        return data


def _is_number(annotation: Any) -> bool:
    """Whether a type, or a list of it, takes numbers but neither booleans nor anything else."""
    types = _leaves(annotation)
    others = any(kind in types for kind in (bool, str, Any))
    return not others and (int in types or float in types)


def _leaves(annotation: Any) -> list[Any]:
    inner = get_args(annotation)
    return [leaf for part in inner for leaf in _leaves(part)] if inner else [annotation]


# The scalars of YAML 1.2's core schema: 1e-3 is a number, while 'on', 'no', 010 and 1:30 are
# not what YAML 1.1 makes of them. Tag, pattern, first characters.
_SCALARS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    """Safe YAML 1.2 without duplicate keys."""

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _refuse_aliases_that_explode(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float | bool):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} stands twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, IndexError, AttributeError):  # a tag that the value is not of
            kind, text = node.tag.rpartition(":")[2], shorten(node.value)
            raise yaml.constructor.ConstructorError(
                None, None, f"{text} is no {kind}", node.start_mark
            ) from None

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


_FEW_VALUES = 100_000
"""Values that a file may always hold once its aliases are expanded."""
_MOST_EXPANSION = 10
"""Beyond that, how many times more than it holds without them."""


def _refuse_aliases_that_explode(root: yaml.Node) -> None:
    """Counts the values that a reader of the data would meet, each node once: O(nodes).

    Raises:
        yaml.constructor.ConstructorError: an alias refers to itself, or there are too many.
    """
    sizes: dict[int, int] = {}
    entered: set[int] = set()
    counted: list[yaml.Node] = []
    stack = [(root, False)]
    while stack:
        node, inside_counted = stack.pop()
        key, inner = id(node), _inner(node)
        if inside_counted:
            entered.discard(key)
            sizes[key] = 1 + sum(sizes[id(part)] for part in inner)
            counted.append(node)
        elif key in entered:
            raise yaml.constructor.ConstructorError(
                None, None, "an alias refers to itself", node.start_mark
            )
        elif key not in sizes:
            entered.add(key)
            stack.append((node, True))
            stack.extend((part, False) for part in inner)
    most = max(_FEW_VALUES, _MOST_EXPANSION * len(counted))
    if sizes[id(root)] > most:
        first = next(node for node in counted if sizes[id(node)] > most)
        raise yaml.constructor.ConstructorError(
            None, None, f"its aliases expand to more than {most} values", first.start_mark
        )


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would read as something else."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}",
            re.compile(f"(?:{_pattern})$"),
            ["" if character == "\0" else character for character in _first],
        )
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        LrrayError: the file is missing, unreadable, empty, not YAML or not a mapping.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LrrayError(str(path), "no such file", fix="check the path") from None
    except OSError as error:
        raise LrrayError(
            str(path), f"cannot be read: {error.strerror}", fix="give a readable text file"
        ) from None
    except UnicodeDecodeError:
        raise LrrayError(str(path), "is not UTF-8 text", fix="give a YAML file") from None
    data = parse_yaml(text, str(path))
    if data is None:
        raise LrrayError(str(path), "the file is empty", fix="write a mapping of settings")
    if not isinstance(data, dict):
        raise LrrayError(
            str(path), "must hold a mapping of settings", got=data, fix="write 'key: value' lines"
        )
    return data


def parse_yaml(text: str, where: str) -> Any:
    """Parses YAML text; ``where`` names its origin in errors."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"{where}:{mark.line + 1}" if mark and "\n" in text else where
        raise LrrayError(
            line, f"not readable as YAML: {error.problem}", fix="mend this line"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LrrayError(where, f"not readable as YAML: {reason}", fix="mend the file") from None


def dump_yaml(data: Any) -> str:
    """YAML text that :func:`parse_yaml` reads back equal, keys in order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Returns a copy of ``data`` with ``key.sub=value`` words applied; values are YAML.

    Raises:
        LrrayError: a word is not ``key=value`` or its path leads through something not a mapping.
    """
    result = dict(data)
    for word in overrides:
        path, equals, text = word.partition("=")
        if not equals or not all(path.strip().split(".")):
            raise LrrayError(word, "an override must be key=value", fix="e.g. target.value=0.8")
        result = set_key(result, path.strip(), parse_yaml(text, word), word)
    return result


def set_key(data: Mapping[str, Any], path: str, value: Any, where: str) -> dict[str, Any]:
    """Returns a copy of ``data`` with the key at a dotted ``path`` set; ``data`` is left alone.

    Raises:
        LrrayError: the path leads through something that is not a mapping.
    """
    key, dot, rest = path.partition(".")
    if not dot:
        return {**data, key: value}
    inner = data.get(key, {})
    if not isinstance(inner, Mapping):
        raise LrrayError(where, f"{key} must be a mapping", got=inner, fix="override it whole")
    return {**data, key: set_key(inner, rest, value, where)}


def differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Key path, old and new value wherever two settings differ; None stands for a missing one."""
    if old == new:
        return []
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return [(path, old, new)]
    keys = [*old, *(key for key in new if key not in old)]
    return [
        change
        for key in keys
        for change in differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    ]


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], data: Any, where: str) -> Model:
    """Checks ``data`` against ``model``; ``where`` (usually the file) opens each error line.

    Raises:
        LrrayError: one broken rule. ManyErrors: several, one line each.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = [_translate(item, where) for item in error.errors()]
    raise errors[0] if len(errors) == 1 else ManyErrors(errors)


def key_path(parts: Iterable[object]) -> str:
    """``("nodes", 2, "alpha")`` as ``nodes[2].alpha``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def _translate(item: Any, where: str) -> LrrayError:
    cause = item.get("ctx", {}).get("error")
    path = key_path(part for part in item["loc"] if not str(part).startswith("function-"))
    if isinstance(cause, Problem):
        path = f"{path}.{cause.at}" if path and cause.at else path or cause.at
        return LrrayError(_join(where, path), cause.rule, fix=cause.fix, **cause.got)
    if item["type"] in ("missing", "too_long") and isinstance(item["input"], list | tuple):
        at = item["loc"] if item["type"] == "too_long" else item["loc"][:-1]
        most = item.get("ctx", {}).get("max_length")
        number = f"at most {most}" if most is not None else f"at least {item['loc'][-1] + 1}"
        rule = f"must hold {number} values"
        return LrrayError(_join(where, key_path(at)), rule, got=item["input"], fix="write [a, b]")
    if item["type"] == "missing":
        return LrrayError(
            _join(where, path), "this key is required", fix=f"add '{path.split('.')[-1]}: …'"
        )
    rule = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    rule, fix = _KINDS.get(item["type"], (rule[:1].lower() + rule[1:], _fix(item)))
    return LrrayError(_join(where, path), rule, got=item["input"], fix=fix)


_MAPPING = ("must be a mapping", "write 'key: value' lines")
_LIST = ("must be a list", "write [a, b]")
_BOOLEAN = ("must be true or false", "write true or false")
_INTEGER = ("must be a whole number", "write e.g. 4")
_NUMBER = ("must be a finite number", "write e.g. 0.1")
_KINDS = {
    "model_type": _MAPPING, "dict_type": _MAPPING, "mapping_type": _MAPPING,
    "tuple_type": _LIST, "list_type": _LIST,
    "bool_type": _BOOLEAN, "bool_parsing": _BOOLEAN,
    "int_type": _INTEGER, "int_parsing": _INTEGER, "int_from_float": _INTEGER,
    "float_type": _NUMBER, "float_parsing": _NUMBER, "finite_number": _NUMBER,
    "string_type": ("must be text", "put it in quotes"),
    "string_too_short": ("must not be empty", "give it a name"),
}  # fmt: skip
"""Rule and fix by pydantic's name of the mistake, where its own words are not a user's."""


def _join(where: str, path: str) -> str:
    return f"{where}: {path}" if path else where


def _fix(item: Any) -> str:
    context = item.get("ctx", {})
    for bound, words in (
        ("gt", "greater than"),
        ("ge", "of at least"),
        ("lt", "less than"),
        ("le", "of at most"),
    ):
        if bound in context:
            return f"give a value {words} {context[bound]}"
    if "expected" in context:
        return did_you_mean(str(item["input"]), re.findall(r"'([^']*)'", str(context["expected"])))
    return "give a value of that kind"


def numbers_in(
    data: Mapping[str, Any], joined_by: str = ".", path: str = ""
) -> Iterator[tuple[str, float]]:
    """Joined names and values of the numbers; whatever is no number is left out."""
    for key, value in data.items():
        name = f"{path}{joined_by}{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from numbers_in(value, joined_by, name)
        elif isinstance(value, int | float):
            yield name, value
