"""What a text says without answering: taken out before answers are looked for.

Each rule replaces a piece of text by a line break, so that no answer is found in it or across it.
Rules for every answer: what is negated or called wrong, and choices between rivals. Of cities:
those put into the wrong country. Of numbers: ranges, signs, eras, fractions, powers, percentages
and multiples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from lrray.twohop.known_names import countries_and_states, states
from lrray.twohop.text import folded, folded_letters, tokens

Words = tuple[str, ...]
Judge = Callable[[Words], bool]
"""Whether words, folded, are a name of some sort."""

GAP = "\n"

NUMBERS = frozenset({"year", "century", "number"})
PLACES = frozenset({"city", "country", "region", "continent"})

_END = r"(?=\bbut\b|\bit is\b|\bit's\b|[,;:!?\n()]|\.(?:\s|$)|$)"
_NEGATED = re.compile(
    r"\b(?:not(?! (?:only|sure|certain|mistaken))|never|neither|nor|cannot|rather than|instead of"
    r"|other than|except(?: for)?|unlike|no longer"
    r"|(?:is|was|are|were|do|does|did|ca|wo|could|would)n['’]t"
    r"(?! (?:only|sure|certain|mistaken)))\b"
    rf"(?:(?!\bbut\b|\bit is\b|\bit's\b)[^,;:!?\n()])*?{_END}",
    re.I,
)
_CALLED_WRONG = re.compile(
    r"[^.,;:!?\n()]*\b(?:is|was|would be)\s+(?:wrong|incorrect|false"
    r"|not\s+(?:it|right|correct|the\s+(?:right\s+|correct\s+)?answer))\b",
    re.I,
)

_INSTITUTION = (
    "University|College|Cathedral|Church|Basilica|Diocese|Archdiocese|Museum|Gallery|Institute"
    "|Academy|Observatory|Bank|Gulf|Bay|Sea|Strait|Bishop|Archbishop"
)
_OF = re.compile(
    rf"\b(?i:{_INSTITUTION})\s+(?i:of|at|in)\s+(?:the\s+)?"
    r"(?:[A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*){0,2}|[\w'’-]+)"
)
_AFTER = (
    "University|College|Cathedral|Museum|Gallery|Institute|Academy|Observatory|Metro|Subway"
    "|Underground|Bridge|Times|Post|Herald|Tribune|Opera|Airport|Minster|Abbey|Tower"
)
_NAMED = re.compile(rf"\b(?:[A-Z][\w'’-]*\s+){{1,3}}(?:{_AFTER})\b")

_FIGURE = r"\d+(?:[.,]\d+)*"
_TH = r"(?:st|nd|rd|th)?"
_NUMBER_RULES = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"\bbetween\s+{_FIGURE}\s+and\s+{_FIGURE}",
        rf"\bfrom\s+(?:about\s+)?{_FIGURE}\s*(?:-|to|until|till)\s*{_FIGURE}",
        rf"(?<![\w.])(?!\d{{4}}-\d\d-\d\d\b){_FIGURE}{_TH}\s*"
        rf"(?:-\s*|\bto\s+|\bthrough\s+|\buntil\s+){_FIGURE}{_TH}(?![\w])",
        r"(?<![\w)\]])-\d[\d.,]*",  # a sign; a dash with a space after it is none
        r"(?<![\w.])\.\d+",
        r"\d[\d.,]*\s*(?:\^|\*\*)\s*-?\d+",
        rf"(?<![\d/]){_FIGURE}\s*/\s*\d{{1,3}}(?![\d/])",
        rf"(?<![\d.,]){_FIGURE}\s*(?:%|percent\b|per cent\b)",
        rf"(?<![\d.,]){_FIGURE}\s*(?:hundred|thousand|million|billion|trillion)\b",
        rf"\b(?:before|after|since|until|(?:more|less|fewer) than|at (?:least|most))\s+{_FIGURE}",
    )
)
_BC = re.compile(rf"\b{_FIGURE}\s*B\.?\s?C\.?(?:\s?E\.?)?(?!\w)|\bBCE?\s+\d+")
POWER = re.compile("\\d[\\d.,]*[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_THIN_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d.,]*\d)")
_DOT_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.,]*\d)")
_LISTED = re.compile(r"\A\s*\d{1,3}[.)]\s+(?=\S)")

_SEPARATOR = re.compile(
    r"\s*(?:,\s*(?:and|or)\b|[,;/]|\band\b|\bor\b|\bor maybe\b|&|\n\s*(?:[-*]|\d+[.)])?)\s*", re.I
)
_SENTENCE_END = re.compile(r"(?<=[a-z)][.!?]) +")
_MOST_WORDS = 6


def without_negated(text: str, names: Iterable[str]) -> str:
    """``text`` without what it denies; the NOT of a name such as "NOT telescope" denies nothing."""
    starts = tuple(folded_letters(name).casefold() for name in names)

    def denied(match: re.Match[str]) -> str:
        return match[0] if match[0].casefold().startswith(starts) else GAP

    return _NEGATED.sub(denied, _CALLED_WRONG.sub(GAP, text))


def institutions_in(text: str) -> tuple[str, ...]:
    """Names such as "University of Krakow", in which no city is named."""
    return tuple(match[0] for pattern in (_OF, _NAMED) for match in pattern.finditer(text))


def without_wrong_country(text: str, answers: Sequence[str], within: Collection[str]) -> str:
    """``text`` without right cities that are put into a country they are not in.

    Args:
        text: as it stands.
        answers: names of the city.
        within: names of its country; where there are none, nothing is known.
    """
    if not within:
        return text
    right = set(map(folded, within))
    if right & {"united states", "usa"}:
        right |= states()

    for match in reversed(list(countries_and_states().finditer(text))):
        before = text[: match.start()]
        named = [answer for answer in answers if _ends_with(before, answer)]
        if named and folded(match[1]) not in right:
            text = f"{before[: -max(map(len, named))]}{GAP}{text[match.end() :]}"
    return text


def _ends_with(text: str, answer: str) -> bool:
    wanted = folded(answer).split()
    return bool(wanted) and folded(text).split()[-len(wanted) :] == wanted


def without_inexact_numbers(text: str, category: str) -> str:
    """``text`` without numbers that are part of a range, a fraction, a power or another era."""
    text = _DASHES.sub("-", text)
    for rule in _NUMBER_RULES:
        text = rule.sub(GAP, text)
    return text if category == "century" else _BC.sub(GAP, text)


def joined_groups(text: str) -> str:
    """``text`` with groups of three digits joined, be they parted by a space or a dot."""
    for pattern in (_THIN_GROUPS, _DOT_GROUPS):
        text = pattern.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    return text


def without_list_number(text: str, names: Collection[str]) -> str:
    """``text`` without the number before what is but a name: "2. Helium"."""
    match = _LISTED.match(text)
    if match is None:
        return text
    rest = tokens(text[match.end() :])
    known = {tokens(name) for name in names}
    return text[match.end() :] if rest in known or len(rest) <= 2 else text


def without_choices(text: str, is_right: Judge, is_rival: Judge) -> str:
    """``text`` without answers that stand beside a rival in a list: "English, German or Swedish".

    Args:
        text: as it stands.
        is_right: whether words, folded, are an accepted answer.
        is_rival: whether they are a wrong answer to the same question.
    """
    sentences = _SENTENCE_END.split(text)
    return " ".join(_without_choices(sentence, is_right, is_rival) for sentence in sentences)


def _without_choices(text: str, is_right: Judge, is_rival: Judge) -> str:
    parts = _SEPARATOR.split(text)
    separators = [match[0] for match in _SEPARATOR.finditer(text)]
    words = [tuple(word.casefold() for word in tokens(part)) for part in parts]
    doomed = set()
    for i in range(len(parts) - 1):
        left = _last_name(words[i], is_right, is_rival)
        right = _first_name(words[i + 1], is_right, is_rival)
        if {left, right} == {"right", "rival"}:
            doomed.add(i if left == "right" else i + 1)
    kept = [GAP if i in doomed else part for i, part in enumerate(parts)]
    return "".join(part + sep for part, sep in zip(kept, [*separators, ""], strict=True))


def _last_name(words: Words, *kinds: Judge) -> str | None:
    first = max(0, len(words) - _MOST_WORDS)
    return _named((words[start:] for start in range(first, len(words))), *kinds)


def _first_name(words: Words, *kinds: Judge) -> str | None:
    words = words[1:] if words[:1] == ("the",) else words
    return _named((words[:end] for end in range(min(len(words), _MOST_WORDS), 0, -1)), *kinds)


def _named(candidates: Iterable[Words], is_right: Judge, is_rival: Judge) -> str | None:
    for words in candidates:
        if is_right(words):
            return "right"
        if is_rival(words):
            return "rival"
    return None
