"""What a run's files say beside its cells: of each key the type that readers rely on.

Another person's folder, or another version's, may hold anything under these keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrray.errors import LrrayError, shorten
from lrray.files import read_file
from lrray.json_text import parse_json
from lrray.results.folder import OUTDATED
from lrray.yaml_text import parse_yaml

_MOST_YAML_BYTES = 1 << 24
"""YAML is read slowly: a megabyte takes about a second."""

_CONTROLS = re.compile(r"(?<!\\)((?:\\\\)*)\\u00(?:[01][0-9a-f]|7f|[89][0-9a-f])")
"""Control characters in JSON, but for those that have a letter: a terminal would obey them."""

_LARGEST = 1e15
"""Numbers beyond it, and NaN, are nothing that a driver writes."""

_COUNT = int
_NUMBER = (int, float)
_TEXT = str

_SHAPES: dict[str, dict[str, Any]] = {
    "study.yaml": {
        "kind": _TEXT, "question": _TEXT, "hypothesis": _TEXT, "search_space": dict, "grid": dict,
        "search": {"metric": _TEXT, "mode": _TEXT, "sampler": _TEXT, "num_trials": _COUNT},
        "target": {"metric": _TEXT, "value": _NUMBER, "tolerance": _NUMBER},
        "pairs": dict, "known_threshold": _NUMBER,
    },
    "status.json": {
        "running": [{"id": _TEXT, "axes": dict}], "total": _COUNT, "ended": _COUNT,
        "done": _COUNT, "failed": _COUNT, "cells": _COUNT, "phase": _TEXT, "left_s": _NUMBER,
    },
    "summary.json": {
        "cells": _COUNT, "done": _COUNT, "failed": _COUNT, "kind": _TEXT,
        "wall_seconds": _NUMBER, "cell_seconds": _NUMBER, "pairs": [dict], "points": [dict],
        "best": [{
            "condition": _TEXT, "metric": _TEXT, "value": _NUMBER, "settings": dict,
            "done": _COUNT, "stopped": _COUNT, "failed": _COUNT,
        }],
    },
    "provenance.json": {
        "git": {"revision": _TEXT}, "machine": dict, "versions": dict, "command": list,
        "started_at": _TEXT, "python": _TEXT,
    },
    "pairs.yaml": {"pairs": [dict]},
    OUTDATED: {"cells": [_TEXT]},
}  # fmt: skip
"""File -> key -> its type; a mapping's keys, and a list's items, have types of their own."""


TOLD = tuple(_SHAPES)
"""The files that :func:`read_told` reads."""


@dataclass(frozen=True)
class Told:
    """What one file says."""

    data: dict[str, Any] = field(default_factory=dict)
    damage: str = ""
    """Why all or some of it is left out; empty where nothing is."""


def read_told(run: Path, name: str) -> Told:
    """Reads ``study.yaml``, or one of the files that a driver writes; never raises."""
    try:
        content = read_file(run / name)
    except FileNotFoundError:
        return Told()
    except OSError as error:
        return Told(damage=str(error.strerror).lower())
    try:
        data = _parsed(content, name)
    except (LrrayError, ValueError, RecursionError):
        return Told(damage=f"is not {'YAML' if name.endswith('.yaml') else 'JSON'}")
    if not isinstance(data, dict):
        return Told(damage="holds no mapping")
    wrong: list[str] = []
    kept = _of_shape(data, _SHAPES[name], "", wrong)
    return Told(kept, f"holds something else at {shorten(', '.join(wrong))}" if wrong else "")


def _parsed(content: bytes, name: str) -> Any:
    if not name.endswith(".yaml"):
        text = json.dumps(parse_json(content))
    elif len(content) <= _MOST_YAML_BYTES:
        # As JSON, so that what holds for that holds here: no depth, no number without end.
        text = json.dumps(parse_yaml(content.decode(), name), default=str)
    else:
        raise ValueError(name)
    return parse_json(_CONTROLS.sub(r"\1\\ufffd", text))


def _of_shape(
    data: Mapping[str, Any], shape: Mapping[str, Any], at: str, wrong: list[str]
) -> dict[str, Any]:
    """The keys that are of their type, and those that have none given; names the others."""
    kept = {}
    for key, value in data.items():
        if key not in shape:
            kept[key] = value
        elif value is not None:  # null counts as absent
            one = _fits(value, shape[key], f"{at}{key}", wrong)
            if one is None:
                wrong.append(f"{at}{key}")
            else:
                kept[key] = one
    return kept


def _fits(value: Any, kind: Any, path: str, wrong: list[str]) -> Any:
    """The value, what of it is of its type, or None."""
    if isinstance(kind, dict):
        return _of_shape(value, kind, f"{path}.", wrong) if isinstance(value, dict) else None
    if isinstance(kind, list):
        if not isinstance(value, list):
            return None
        items = [_fits(item, kind[0], f"{path}[{i}]", wrong) for i, item in enumerate(value)]
        wrong += [f"{path}[{i}]" for i, item in enumerate(items) if item is None]
        return [item for item in items if item is not None]
    if isinstance(value, bool) or not isinstance(value, kind):
        return None
    is_number = isinstance(value, int | float)
    return value if not is_number or abs(value) <= _LARGEST else None
