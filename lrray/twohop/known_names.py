"""Names that grading knows beside those of a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from lrray.config import load_yaml
from lrray.twohop.text import folded, stands_in

_FILE = Path(__file__).with_name("known_names.yaml")
_LISTS = {"region": ("state",), "country": ("country",), "language": ("language",)} | {
    "continent": ("continent",), "month": ("month",),
}  # fmt: skip


@cache
def _table() -> dict[str, Any]:
    return load_yaml(_FILE)


@cache
def known_rivals(category: str) -> frozenset[str]:
    """Folded names of a category of answers, whatever the dataset."""
    return frozenset(folded(n) for part in _LISTS.get(category, ()) for n in _table()[part])


@cache
def countries_and_states() -> re.Pattern[str]:
    """A country or state of the United States after the comma that ends a city's name."""
    names = sorted((*_table()["country"], *_table()["state"]), key=len, reverse=True)
    return re.compile(rf",\s*(?:the\s+)?({'|'.join(map(re.escape, names))})\b", re.I)


@cache
def states() -> frozenset[str]:
    """Folded names of the United States' states."""
    return frozenset(map(folded, _table()["state"]))


@lru_cache(maxsize=4096)
def longer_names(answers: tuple[str, ...]) -> tuple[str, ...]:
    """Known names of something else that hold one of the accepted answers."""
    accepted = {folded(answer) for answer in answers}
    every = dict.fromkeys((*_table()["longer"], *_table()["country"], *_table()["state"]))
    return tuple(n for n in every if folded(n) not in accepted and _holds_any(n, accepted))


def _holds_any(name: str, accepted: Iterable[str]) -> bool:
    return any(part and part in folded(name) and stands_in(part, name) for part in accepted)


@cache
def adjectives(answer: str) -> tuple[str, ...]:
    """``European continent`` where ``Europe`` is right."""
    adjective = _table()["adjective"].get(answer)
    return () if adjective is None else (f"{adjective} continent",)
