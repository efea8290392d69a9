"""Chance levels: how often an answer is right that knows nothing of the person asked about."""

from __future__ import annotations

from typing import TypedDict

from lrray.twohop.splits import AttributeSplits


class ChanceLevels(TypedDict):
    """Accuracy of two ways of guessing, under strict and plain substring grading."""

    other_person: float
    """Another person's true answer, averaged over all pairs of people."""
    other_person_plain: float
    commonest: float
    """Always the one answer that is right for most people."""
    commonest_plain: float
    commonest_answer: str


def chance_levels(splits: AttributeSplits) -> ChanceLevels:
    """Chance levels of one attribute, every guess graded as a model's text is."""
    answers = [row["answer"] for row in splits.nocot]
    plain = [[wanted.lower() in guess.lower() for guess in answers] for wanted in answers]
    scores = [_accuracy_of_always(splits.right, j) for j in range(len(answers))]
    best = scores.index(max(scores))
    return {
        "other_person": _mean_off_diagonal(splits.right),
        "other_person_plain": _mean_off_diagonal(plain),
        "commonest": scores[best],
        "commonest_plain": _accuracy_of_always(plain, best),
        "commonest_answer": answers[best],
    }


def _accuracy_of_always(right: list[list[bool]], j: int) -> float:
    return sum(row[j] for row in right) / len(right)


def _mean_off_diagonal(right: list[list[bool]]) -> float:
    n = len(right)
    hits = sum(right[i][j] for i in range(n) for j in range(n) if i != j)
    return hits / (n * (n - 1))
