"""Text as a list of whole words and numbers, so that answers are compared and not substrings.

What counts as equal: accents, punctuation, hyphens, possessive ``'s`` and thousands separators
(``8,611``, ``8'611``, no-break spaces) do not matter, and case matters only where asked for. A
number stands alone: ``1`` is no part of ``11``, ``H2O`` or ``1890s``, but ``8th`` and ``8611m``
hold the numbers 8 and 8611. Contractions and dotted abbreviations are whole words too: ``m`` is no
part of ``I'm``, nor ``U`` of ``U.S.``, which equals ``US``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_ORDINAL = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth"
# What numbers the parts of a text. At its very beginning only the first part can stand: "8. That is
# oxygen's number" begins with an answer.
_ENUMERATION = (
    re.compile(rf"\b(?:step|hop)\s+\d+\b\s*[.:)]?|\b(?:{_ORDINAL})\s+(?:step|hop)\b", re.I),
    re.compile(r"(?:\A[\s*#]*1|^(?<!\A)[ \t*#>-]*\d{1,2})[.)]\**(?=[ \t]+\S)", re.M),
    re.compile(rf"(?:\A[\s*]*first|(?<=[\n.:;!?])[ \t*]*(?:{_ORDINAL}))(?=[,:])", re.I),
)

Span = tuple[int, int]
"""First token and the one after the last."""

_GROUPED = re.compile(r"(?<![\d.])\d{1,3}(?:[,'’\u00a0\u2009\u202f]\d{3})+(?!\d)")
_IS = r"(?i:he|she|it|that|what|who|there|here|where|how|let)'s(?![^\W_])"
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)(?:st|nd|rd|th|m|ft|km)?(?![^\W_])"  # ordinals and lengths
    r"|(?P<dotted>[^\W\d_](?:\.[^\W\d_])+(?![^\W_]))"  # U.S.
    rf"|{_IS}|[^\W_]+'(?i:m|re|ve|ll|d|t)(?![^\W_])"  # contractions
    r"|[^\W_]+(?:\+\+|\#)?"  # words; C, C++ and C# differ
)
_POSSESSIVE = re.compile(rf"\b({_IS})|'s\b")  # the first are none, and stay
# Letters that Unicode does not decompose into a base letter and an accent.
_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "ð": "d", "ı": "i", "þ": "th"}
    | {"æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ß": "ss"}
    # Soft hyphens and what has no width stand inside words; a hyphen that does not break is one.
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", "")
    | {"\u2011": "-"}
)
_TRANSLITERATED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"}
    | {"Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Ø": "Oe", "Å": "Aa"}
)
_LONG_FORM = {"St": "Saint", "Mt": "Mount", "Ft": "Fort", "Mtn": "Mountain"}
"""Abbreviations in names, which count as what they stand for."""


def folded_letters(text: str) -> str:
    """``text`` in plain letters, punctuation and case as they are."""
    text = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def spellings(name: str) -> tuple[str, ...]:
    """The name, and as it is written without umlauts: Zürich, Zuerich."""
    composed = unicodedata.normalize("NFC", name)
    other = composed.translate(_TRANSLITERATED)
    return (name,) if other == composed else (name, other)


def without_enumeration(text: str) -> str:
    """``text`` without what numbers its parts: "Step 2:", "2." of a list, "Second, …"."""
    for pattern in _ENUMERATION:
        text = pattern.sub("\n", text)
    return text


@lru_cache(maxsize=20_000)  # names and answers are compared with every text
def tokens(text: str) -> tuple[str, ...]:
    """Words and numbers of ``text`` in order, without accents, in their own case."""
    text = _GROUPED.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    text = folded_letters(text)
    text = _POSSESSIVE.sub(r"\1", text.replace("’", "'"))
    return tuple(map(_token, _TOKEN.finditer(text)))


def _token(match: re.Match[str]) -> str:
    if match["number"]:
        return re.sub(r"\.0+$", "", match["number"])
    word = match[0].replace(".", "") if match["dotted"] else match[0]
    return _LONG_FORM.get(word, word)


def folded(text: str) -> str:
    """One spelling for all texts that count as equal when case does not matter."""
    return " ".join(tokens(text)).casefold()


def find(words: str, inside: Sequence[str], *, case_sensitive: bool = False) -> list[Span]:
    """Every place where ``words`` stand, whole and in order, among the tokens ``inside``.

    A word of one or two capitals (``US``, ``R``) is found only in capitals, whatever
    ``case_sensitive`` says: "let us see" does not name a country.
    """
    wanted = tokens(words)
    if not wanted:
        return []
    return [
        (start, start + len(wanted))
        for start in range(len(inside) - len(wanted) + 1)
        if all(_same(wanted[i], inside[start + i], case_sensitive) for i in range(len(wanted)))
    ]


def _same(wanted: str, seen: str, case_sensitive: bool) -> bool:
    short_capitals = wanted.isalpha() and wanted.isupper() and len(wanted) <= 2
    if case_sensitive or short_capitals:
        return wanted == seen
    return wanted.casefold() == seen.casefold()


def stands_in(words: str, text: str) -> bool:
    """Whether ``words`` stand in ``text`` as whole words, case aside."""
    return bool(find(words, tokens(text)))
