"""Grading of generated answers: strict on whole words, and plain substring beside it.

Strict grading credits a text when an accepted answer stands in it

- as whole words or a whole number (:mod:`lrray.twohop.text` says what counts as equal),
- in its own upper and lower case where the attribute is a symbol (``He``, ``H``),
- as no part of an enumeration ("Step 2:", "2. The park …", "Second, …"),
- outside every name that may not lend it credit: the entity's own names ("University of Oxford"
  is no answer to "in which city?", "Oxford" is), the person's name, and longer names of
  other answers and entities ("PlayStation 2" is no answer where "PlayStation" is expected, nor
  "University of Cambridge" where Harvard's city is).

In the same way "PlayStation 2" does not name the entity PlayStation.

Plain substring grading is what earlier work did: the expected answer, aliases aside, stands
anywhere in the text, even inside another word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrray.twohop.text import Span, find, tokens, without_enumeration

# Symbols that are also words: where a sentence begins and a small letter follows they are no answer
# ("He works there"), nor is "I" anywhere; quoted, emphasised or further on they are ("is He and").
_SENTENCE_WORD = re.compile(
    r"((?:\A|[.!?:;\n(])[\s*]*)(?:A|Am|As|At|Be|He|In|No)\b(?= [a-z])|\bI\b(?= [a-z])"
)


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

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Expected:
        """What a row of a built split expects."""
        return cls(
            answer=row["answer"],
            answers=tuple(row["answers"]),
            intermediates=tuple(row["intermediates"]),
            not_inside=tuple(row["not_inside"]),
            case_sensitive=row["case_sensitive"],
        )


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
    first_answer = min(_credited_starts(words, expected), default=None)
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
    return bool(_credited_starts(_words(text, expected), expected))


def names_any(text: str, names: Iterable[str]) -> bool:
    """Whether one of ``names`` stands in the text as whole words."""
    return bool(_spans(names, tokens(text)))


def _words(text: str, expected: Expected) -> tuple[str, ...]:
    text = without_enumeration(text)
    return tokens(_SENTENCE_WORD.sub(r"\1", text) if expected.case_sensitive else text)


def _credited_starts(words: Sequence[str], expected: Expected) -> list[int]:
    found = _spans(expected.answers, words, case_sensitive=expected.case_sensitive)
    names = _spans(expected.not_inside, words) if found else []
    return _starts_outside(found, names)


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
