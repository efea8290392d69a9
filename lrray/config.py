"""Typed YAML: reading, overriding and checking settings, with errors that name file and key path.

Settings are pydantic models derived from :class:`Settings`. A file is read by :func:`load_yaml`,
changed by :func:`apply_overrides` and checked by :func:`parse`; whatever a user can get wrong on
that way becomes an :class:`~lrray.errors.LrrayError` of one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from lrray.errors import LrrayError, ManyErrors, did_you_mean


class Problem(ValueError):
    """A broken rule found inside a model's own validator; :func:`parse` adds the file and key path.

    ``at`` extends the key path of the model that raises, e.g. ``"nodes[2].alpha"``.
    """

    def __init__(self, rule: str, *, at: str = "", fix: str = "", **got: object) -> None:
        self.rule, self.at, self.fix, self.got = rule, at, fix, got
        super().__init__(rule)


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


class _Loader(yaml.SafeLoader):
    """Safe YAML with YAML 1.2 numbers (``1e-3`` is a float) and without duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float | bool):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} stands twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


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
    except (OSError, UnicodeDecodeError) as error:
        raise LrrayError(
            str(path), f"cannot be read: {error}", fix="give a UTF-8 text file"
        ) from None
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
        line = f"{where}:{mark.line + 1}" if mark else where
        raise LrrayError(
            line, f"not readable as YAML: {error.problem}", fix="mend this line"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LrrayError(where, f"not readable as YAML: {reason}", fix="mend the file") from None


def dump_yaml(data: Any) -> str:
    """YAML text that reads back equal: keys in order, floats as ``1.0e-03`` never as text."""
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return text


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Returns a copy of ``data`` with ``key.sub=value`` words applied; values are YAML.

    Raises:
        LrrayError: a word is not ``key=value`` or its path leads through something not a mapping.
    """
    result: dict[str, Any] = _copy(data)
    for word in overrides:
        path, equals, text = word.partition("=")
        if not equals or not path.strip():
            raise LrrayError(word, "an override must be key=value", fix="e.g. target.value=0.8")
        keys = path.strip().split(".")
        target = result
        for position, key in enumerate(keys[:-1]):
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise LrrayError(
                    word,
                    f"{'.'.join(keys[: position + 1])} must be a mapping",
                    got=target,
                    fix="override it whole",
                )
        target[keys[-1]] = parse_yaml(text, word)
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


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
    if item["type"] == "missing":
        return LrrayError(
            _join(where, path), "this key is required", fix=f"add '{path.split('.')[-1]}: …'"
        )
    rule = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return LrrayError(
        _join(where, path), rule[:1].lower() + rule[1:], got=item["input"], fix=_fix(item)
    )


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
