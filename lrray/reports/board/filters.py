"""The board's filter line: words that all must hold, such as ``state=done model=gru loss<0.5``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lrray.errors import LrrayError, did_you_mean

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]

_TERM = re.compile(r"(?P<name>[^<>=!]+)(?P<sign><=|>=|!=|=|<|>)(?P<value>.+)")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def parse_filter(text: str, columns: Iterable[str]) -> Condition:
    """What a row must meet.

    A word ``name<value`` (or ``<= > >= = !=``) compares a column, numbers as numbers; any other
    word must stand somewhere in the row. The last part of a dotted name is enough.

    Raises:
        LrrayError: a column that there is not, or an order with something not a number.
    """
    known = list(columns)
    conditions = [_condition(word, known) for word in text.split()]
    return lambda row: all(condition(row) for condition in conditions)


def _condition(word: str, columns: list[str]) -> Condition:
    match = _TERM.fullmatch(word)
    if match is None:
        needle = word.lower()
        return lambda row: any(needle in str(row.get(name, "")).lower() for name in columns)
    name, sign, value = _column(match["name"], columns), match["sign"], match["value"]
    if sign in _ORDERS:
        return _ordered(name, _ORDERS[sign], _bound(word, value))
    wanted = sign == "="
    return lambda row: _equals(row.get(name), value) == wanted


def _column(name: str, columns: list[str]) -> str:
    if name in columns:
        return name
    ends = [column for column in columns if column.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    raise LrrayError(name, "no such column", fix=did_you_mean(name, columns))


def _bound(word: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise LrrayError(word, "compares with a number", got=value, fix="e.g. seed<3") from None


def _ordered(name: str, holds: Callable[[Any, Any], bool], bound: float) -> Condition:
    def condition(row: Row) -> bool:
        value = row.get(name)
        return isinstance(value, int | float) and holds(value, bound)

    return condition


def _equals(cell: Any, value: str) -> bool:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        try:
            return bool(cell == float(value))
        except ValueError:
            return False
    return str(cell).lower() == value.lower()
