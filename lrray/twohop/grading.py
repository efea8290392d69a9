"""Grading of generated answers: strict on whole words, and plain substring beside it.

Strict grading credits a text when an accepted answer stands in it

- as whole words or a whole number (:mod:`lrray.twohop.text` says what counts as equal),
- in its own upper and lower case where the attribute is a symbol (``He``, ``H``),
- as no part of an enumeration ("Step 2:", "2. The park …", "Second, …"),
- outside every name that may not lend it credit: the entity's own names ("University of Oxford"
  is no answer to "in which city?", "Oxford" is), the person's name, and longer names of
  other answers and entities ("PlayStation 2" is no answer where "PlayStation" is expected, nor
  "University of Cambridge" where Harvard's city is).

What is denied, called wrong or left to choose among rivals answers nothing, and each kind of answer
is read in its own way: :mod:`lrray.twohop.masking`.

In the same way "PlayStation 2" does not name the entity PlayStation.

Plain substring grading is what earlier work did: the expected answer, aliases aside, stands
anywhere in the text, even inside another word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrray.twohop.known_names import adjectives, known_rivals, longer_names
from lrray.twohop.masking import (
    GAP,
    NUMBERS,
    PLACES,
    POWER,
    institutions_in,
    joined_groups,
    without_choices,
    without_inexact_numbers,
    without_list_number,
    without_negated,
    without_wrong_country,
)
from lrray.twohop.number_words import with_digits
from lrray.twohop.places import other_names
from lrray.twohop.text import (
    Span,
    find,
    folded,
    folded_letters,
    spellings,
    tokens,
    without_enumeration,
)

# Symbols that are also words: where a sentence begins and a small letter follows they are no answer
# ("He works there"), nor is "I" anywhere; quoted, emphasised or further on they are ("is He and").
_SENTENCE_WORD = re.compile(
    r"((?:\A|[.!?:;\n(])[\s*]*)(?:A|Am|As|At|Be|He|In|No)\b(?= [a-z])|\bI\b(?= [a-z])"
)


_REFUSAL = re.compile(r"\A[\s*]*No[.,!]")
"""Of symbols: a no, and not nobelium."""

_NAMED = PLACES | {"language"}
"""Kinds of answers that stand in well-known longer names of something else."""


@dataclass(frozen=True)
class Expected:
    """What a right answer is, and which names may not be mistaken for one."""

    answer: str
    """The answer itself; plain substring grading looks for this one alone."""
    answers: tuple[str, ...]
    """All accepted answers."""
    intermediates: tuple[str, ...] = ()
    """Names of the entity (e2) that the answer is about."""
    not_inside: tuple[str, ...] = ()
    """Names in which an answer does not count, nor, but for its own names, the entity."""
    case_sensitive: bool = False
    category: str = ""
    """Kind of the answer, which decides how a text is read: a year, a city, …"""
    rivals: tuple[str, ...] = ()
    """Wrong answers to the same question; a list of them with a right one answers nothing."""
    within: tuple[str, ...] = ()
    """Of a city the names of its country, where they are known."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Expected:
        """What a row of a built split expects."""
        return cls(
            answer=row["answer"],
            answers=tuple(row["answers"]),
            intermediates=tuple(row["intermediates"]),
            not_inside=tuple(row["not_inside"]),
            case_sensitive=row["case_sensitive"],
            category=row["category"],
            rivals=tuple(row["rivals"]),
            within=(row["within"], *other_names("country", row["within"])) if row["within"] else (),
        )

    @cached_property
    def accepted(self) -> tuple[str, ...]:
        """All accepted answers, in all their spellings."""
        named = [*self.answers]
        if self.category == "continent":
            named += [name for answer in self.answers for name in adjectives(answer)]
        every = [spelt for name in named for spelt in spellings(name)]
        return tuple(dict.fromkeys(every))

    @cached_property
    def lends_nothing(self) -> tuple[str, ...]:
        """Names in which an answer does not count."""
        known = longer_names(self.accepted) if self.category in _NAMED else ()
        return (*self.not_inside, *known)

    @cached_property
    def right_words(self) -> frozenset[tuple[str, ...]]:
        """Words of every accepted answer, folded."""
        return frozenset(tuple(folded(answer).split()) for answer in self.accepted)

    @cached_property
    def rival_words(self) -> frozenset[tuple[str, ...]]:
        """Words of every rival, folded."""
        names = {*map(folded, self.rivals), *known_rivals(self.category)}
        return frozenset(tuple(name.split()) for name in names) - self.right_words

    def is_rival(self, words: tuple[str, ...]) -> bool:
        """Whether words, folded, are a wrong answer: of numbers any other one as long."""
        if words in self.rival_words:
            return True
        if self.category not in NUMBERS or len(words) != 1 or not words[0].isdigit():
            return False
        return words not in self.right_words and len(words[0]) == len(self.answer)


@dataclass(frozen=True)
class Grade:
    """What a generated text got right, and by which way."""

    strict: bool
    """An accepted answer stands in it, see the module's docstring."""
    plain_substring: bool
    """The expected answer's characters stand in it; comparable with earlier work."""
    entity_named: bool
    """The entity (e2) is named somewhere."""
    entity_first: bool
    """The entity is named before the first credited answer, or without one: in a CoT text the
    first hop is there, in a no-CoT text the model spelt it out."""

    @property
    def strict_nocot(self) -> bool:
        """Right without having named the entity first: the measure of latent composition."""
        return self.strict and not self.entity_first


def grade(text: str, expected: Expected) -> Grade:
    """Grades one generated text."""
    words = _words(text, expected)
    first_answer = min(_credited_starts(text, words, expected), default=None)
    first_entity = min(_named_starts(words, expected), default=None)
    return Grade(
        strict=first_answer is not None,
        plain_substring=expected.answer.lower() in text.lower(),
        entity_named=first_entity is not None,
        entity_first=first_entity is not None
        and (first_answer is None or first_entity < first_answer),
    )


def is_right(text: str, expected: Expected) -> bool:
    """The strict grade alone."""
    return bool(_credited_starts(text, _words(text, expected), expected))


def names_any(text: str, names: Iterable[str]) -> bool:
    """Whether one of ``names`` stands in the text as whole words."""
    return bool(_spans(names, tokens(text)))


def _words(text: str, expected: Expected) -> tuple[str, ...]:
    text = _read(folded_letters(_without_powers(text, expected)), expected)
    text = without_enumeration(text)
    text = without_choices(text, expected.right_words.__contains__, expected.is_rival)
    return tokens(_SENTENCE_WORD.sub(r"\1", text) if expected.case_sensitive else text)


def _without_powers(text: str, expected: Expected) -> str:
    """Powers are seen only before their digits are made plain ones."""
    return POWER.sub(GAP, text) if expected.category in NUMBERS else text


def _read(text: str, expected: Expected) -> str:
    """``text`` without what answers nothing, as answers of this kind are read."""
    if expected.category in NUMBERS:
        names = (*expected.intermediates, *expected.not_inside)
        text = without_list_number(with_digits(text), names)
        if expected.category == "number":
            text = joined_groups(text)
        text = without_inexact_numbers(text, expected.category)
    elif expected.category in PLACES:
        text = without_wrong_country(text, expected.accepted, expected.within)
    if expected.case_sensitive:
        text = _REFUSAL.sub(GAP, text)
    return without_negated(text, (*expected.accepted, *expected.intermediates))


def _credited_starts(text: str, words: Sequence[str], expected: Expected) -> list[int]:
    found = _spans(expected.accepted, words, case_sensitive=expected.case_sensitive)
    lend_nothing = (*expected.lends_nothing, *_institutions(text, expected))
    names = _spans(lend_nothing, words) if found else []
    return _starts_outside(found, names)


def _institutions(text: str, expected: Expected) -> tuple[str, ...]:
    return institutions_in(text) if expected.category in PLACES else ()


def _named_starts(words: Sequence[str], expected: Expected) -> list[int]:
    found = _spans(expected.intermediates, words)
    others = set(expected.not_inside) - set(expected.intermediates) if found else ()
    return _starts_outside(found, _spans(others, words))


def _starts_outside(found: Iterable[Span], names: Sequence[Span]) -> list[int]:
    return [span[0] for span in found if not any(_lies_in(span, name) for name in names)]


def _spans(
    names: Iterable[str], words: Sequence[str], *, case_sensitive: bool = False
) -> list[Span]:
    return [span for name in names for span in find(name, words, case_sensitive=case_sensitive)]


def _lies_in(span: Span, name: Span) -> bool:
    return name[0] <= span[0] and span[1] <= name[1]
