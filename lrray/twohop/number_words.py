"""Numbers in words, as digits: "eight thousand six hundred and eleven", "eighteen eighty-nine"."""

from __future__ import annotations

import re


def _listed(words: str) -> list[str]:
    return words.split()


_ONES = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = _listed("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = _listed(
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_TENTHS = _listed("twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth")
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_VALUES = (
    {word: i for i, word in enumerate(_ONES)}
    | {word: 10 * (i + 2) for i, word in enumerate(_TENS)}
    | {word: i for i, word in enumerate(_ORDINALS)}
    | {word: 10 * (i + 2) for i, word in enumerate(_TENTHS)}
)
_WORD = "|".join(sorted((*_VALUES, *_SCALES), key=len, reverse=True))
_NUMBER = re.compile(rf"\b(?:{_WORD})(?:(?:[ -]|[ ]and[ ])(?:{_WORD}))*\b", re.I)
_SPLIT = re.compile(r"[ -]")
_PRONOUN = "one"
"""Alone it is a number only where the whole text is."""

_ENUMERATING = frozenset({"first", "second", "third"})
"""Ordinals that are left alone where they stand alone: they number the parts of a text too."""


def with_digits(text: str) -> str:
    """``text`` with its numbers in words written in digits; ordinals of three and less stay."""
    return _NUMBER.sub(lambda match: _digits(match[0], text), text)


def _digits(words: str, text: str) -> str:
    parts = [part for part in _SPLIT.split(words.lower()) if part not in ("and", "")]
    if parts == [_PRONOUN] and text.strip(" .!*\n").lower() != _PRONOUN:
        return words
    if (len(parts) == 1 and parts[0] in _ENUMERATING) or all(part in _SCALES for part in parts):
        return words
    value = _year(parts)
    value = _value(parts) if value is None else value
    return words if value is None else str(value)


def _year(parts: list[str]) -> int | None:
    """Two pairs of digits, "eighteen eighty-nine" or "nineteen hundred"; None: read otherwise."""
    century = _VALUES.get(parts[0], 0)
    if not 11 <= century <= 20 or len(parts) < 2 or parts[1] == "thousand":
        return None
    rest = parts[2:] if parts[1] == "hundred" else parts[1:]
    if any(part in _SCALES for part in rest):
        return None
    within = _value(rest) if rest else 0
    return 100 * century + within if within is not None and within < 100 else None


def _value(parts: list[str]) -> int | None:
    """The number that the words make; None where they make none."""
    total, group, last = 0, 0, 1000
    for part in parts:
        if part in _SCALES:
            scale = _SCALES[part]
            if scale == 100:
                group = max(1, group) * 100
            else:
                total, group = total + max(1, group) * scale, 0
            last = 1000
            continue
        value = _VALUES[part]
        # After "twenty" only ones go on, after "six" nothing does: these are two numbers.
        if last < 20 or (last < 100 and value >= 10):
            return None
        group, last = group + value, max(value, 1)
    return total + group
