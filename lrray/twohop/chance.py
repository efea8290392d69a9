"""Chance levels: how often an answer is right that knows nothing of the person asked about."""

from __future__ import annotations

from collections.abc import Sequence
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


def guessing(splits: AttributeSplits) -> tuple[float, float]:
    """Accuracy of another person's answer, and of the commonest one.

    Where facts stand before the questions, guesses are drawn from the answers shown there, the
    right one among them: any of them, and the one that is shown most often.
    """
    if splits.shown is None:
        levels = chance_levels(splits)
        return levels["other_person"], levels["commonest"]
    rows = [_guesses_from(splits.right, i, shown) for i, shown in enumerate(splits.shown)]
    anyone, commonest = zip(*rows, strict=True)
    return sum(anyone) / len(rows), sum(commonest) / len(rows)


def _guesses_from(right: list[list[bool]], i: int, shown: Sequence[int]) -> tuple[float, float]:
    votes = {j: sum(right[k][j] for k in shown) for j in shown}
    best = [j for j in shown if votes[j] == max(votes.values())]
    anyone, commonest = (sum(right[i][j] for j in own) / len(own) for own in (shown, best))
    return anyone, commonest


def _accuracy_of_always(right: list[list[bool]], j: int) -> float:
    return sum(row[j] for row in right) / len(right)


def _mean_off_diagonal(right: list[list[bool]]) -> float:
    n = len(right)
    hits = sum(right[i][j] for i in range(n) for j in range(n) if i != j)
    return hits / (n * (n - 1))
