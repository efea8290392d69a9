"""Typed YAML: reading, overriding and checking settings, with errors that name file and key path.

Settings are pydantic models derived from :class:`Settings`. A file is read by :func:`load_yaml`,
changed by :func:`apply_overrides` and checked by :func:`parse`; whatever a user can get wrong on
that way becomes an :class:`~lrray.errors.LrrayError` of one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from lrray.errors import LrrayError, ManyErrors, did_you_mean
from lrray.yaml_text import dump_yaml as dump_yaml
from lrray.yaml_text import load_yaml as load_yaml
from lrray.yaml_text import parse_yaml as parse_yaml


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


class NullSaysMore(Settings):
    """Settings some of which may be null and are not so by default, as clipping is switched off.

    Such a null is written out where other nulls are left out: it would be read back as the default.
    """

    @model_serializer(mode="wrap")
    def _with_such_nulls(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = written(self)
        for name, field in type(self).model_fields.items():
            if name in self.__dict__ and self.__dict__[name] is None and field.default is not None:
                data[name] = None
        return data


def _is_number(annotation: Any) -> bool:
    """Whether a type, or a list of it, takes numbers but neither booleans nor anything else."""
    types = _leaves(annotation)
    others = any(kind in types for kind in (bool, str, Any))
    return not others and (int in types or float in types)


def _leaves(annotation: Any) -> list[Any]:
    inner = get_args(annotation)
    return [leaf for part in inner for leaf in _leaves(part)] if inner else [annotation]


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


def get_key(data: Any, path: str, missing: Any = None) -> Any:
    """The value at a dotted ``path``, or ``missing`` where nothing stands there."""
    for key in path.split("."):
        if not isinstance(data, Mapping) or key not in data:
            return missing
        data = data[key]
    return data


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
