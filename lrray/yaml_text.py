"""YAML as text and files: safe, version 1.2, bounded in what its aliases expand to.

Files of other programs are read as these read them: :func:`load_foreign_yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lrray.errors import LrrayError, shorten

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


class _BoundedLoader(yaml.SafeLoader):
    """Safe YAML 1.1 as PyYAML reads it, for W&B and Ray as well; aliases must not explode."""

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _refuse_aliases_that_explode(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, IndexError, AttributeError):  # a tag that the value is not of
            kind, text = node.tag.rpartition(":")[2], shorten(node.value)
            raise yaml.constructor.ConstructorError(
                None, None, f"{text} is no {kind}", node.start_mark
            ) from None


class _Loader(_BoundedLoader):
    """Safe YAML 1.2 without duplicate keys."""

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
    return _load(Path(path), parse_yaml)


def load_foreign_yaml(path: str | Path) -> dict[str, Any]:
    """Reads a mapping as W&B and Ray read it: by YAML 1.1, where ``no`` is false and 1e-3 text.

    Raises:
        LrrayError: as :func:`load_yaml`.
    """
    return _load(Path(path), _parse_foreign)


def _load(path: Path, parsed: Callable[[str, str], Any]) -> dict[str, Any]:
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
    data = parsed(text, str(path))
    if data is None:
        raise LrrayError(str(path), "the file is empty", fix="write a mapping of settings")
    if not isinstance(data, dict):
        raise LrrayError(
            str(path), "must hold a mapping of settings", got=data, fix="write 'key: value' lines"
        )
    return data


def parse_yaml(text: str, where: str) -> Any:
    """Parses YAML text; ``where`` names its origin in errors."""
    return _safely(lambda: yaml.load(text, Loader=_Loader), text, where)


def _parse_foreign(text: str, where: str) -> Any:
    return _safely(lambda: yaml.load(text, Loader=_BoundedLoader), text, where)


def _safely(read: Callable[[], Any], text: str, where: str) -> Any:
    try:
        return read()
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
