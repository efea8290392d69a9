"""The loss of every answer at every person's question: the gap, its interval and its p value.

A question may be hard whatever the answer, and an answer unlikely whatever the question. Over all
permutations of answers both cancel: each permutation asks every question and gives every answer
once. So the gap is what a random permutation costs beyond the true answers, divided by the share of
rows that it makes wrong, and it is tested by permuting.

Axis letters: N person, M answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUM_PERMUTATIONS = 9999
_DIGITS = 6


@dataclass(frozen=True)
class LossMatrix:
    """One attribute's losses.

    Every answer counts as often as people have it, so a matrix of people x people is what is
    averaged and permuted; different people may have the same answer.
    """

    people: tuple[str, ...]
    """``[N]``."""
    answers: tuple[str, ...]
    """Different answers, ``[M]``."""
    own: NDArray[np.intp]
    """Number of each person's own answer, ``[N]``."""
    right: NDArray[np.bool_]
    """Whether an answer is right for a person, ``[N, M]``."""
    in_name: NDArray[np.bool_]
    """Whether a person's answer stands in the name of their entity, ``[N]``."""
    nats: Floats
    """Mean loss per token, ``[N, M]``; NaN where an answer was not scored."""

    @property
    def is_complete(self) -> bool:
        """Whether every answer was scored at every question, so that answers can be permuted."""
        return bool(np.isfinite(self.nats).all())

    @cached_property
    def square(self) -> Floats:
        """Loss of each person's answer at each person's question, ``[N, N]``."""
        return self.nats[:, self.own]

    @property
    def share_right(self) -> float:
        """Share of rows that keep a right answer under a random permutation."""
        return float(self.right[:, self.own].mean())

    def person_gaps(self) -> Floats:
        """The gap person by person, ``[N]``; the mean is the gap.

        What question and answer cost by themselves, over all answers and all questions, is taken
        out first: else people with unlikely answers would seem to have small gaps.
        """
        return -np.diagonal(centred(self.square)) / (1 - self.share_right)

    def placebo_gap(self, own: Mapping[str, str]) -> float | None:
        """The gap that this model has for the answers of another pairing, which must be near 0.

        Only people count whose answer of that pairing was scored and is wrong here. What is right
        here is brought to the level of wrong answers first, for it would make these look worse.

        Args:
            own: person -> right answer in a pairing that this model was not trained on.

        Returns:
            Nats per token; None where no person counts.
        """
        column = {answer: j for j, answer in enumerate(self.answers)}
        pairs = [
            (i, column[own[person]])
            for i, person in enumerate(self.people)
            if own.get(person) in column and not self.right[i, column[own[person]]]
        ]
        if not pairs:
            return None
        level = self.nats + float(self.person_gaps().mean()) * self.right
        # Centred over answers as often as people have them, as the gap is.
        rest = level - level[:, self.own].mean(axis=1, keepdims=True) - level.mean(axis=0)
        rest += level[:, self.own].mean()
        share = 1 / len(self.people)  # of an effect of the pairing, what means of rows hold
        return -float(np.mean([rest[i, j] for i, j in pairs])) / (1 - share)

    def to_plain(self) -> dict[str, Any]:
        """As the result of a cell holds it."""
        return {
            "people": list(self.people),
            "answers": list(self.answers),
            "own": self.own.tolist(),
            "right": [np.flatnonzero(row).tolist() for row in self.right],
            "in_name": self.in_name.tolist(),
            "nats": [
                [None if np.isnan(loss) else round(loss, _DIGITS) for loss in row]
                for row in self.nats.tolist()
            ],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LossMatrix:
        """What :meth:`to_plain` gave."""
        people, answers = plain["people"], plain["answers"]
        right = np.zeros((len(people), len(answers)), bool)
        for row, columns in zip(right, plain["right"], strict=True):
            row[columns] = True
        return cls(
            tuple(people), tuple(answers), np.array(plain["own"]), right,
            np.array(plain["in_name"], bool), np.array(plain["nats"], float),
        )  # fmt: skip


def centred(losses: Floats) -> Floats:
    """Losses ``[N, N]`` without what rows and columns cost by themselves."""
    rows, columns = losses.mean(axis=1, keepdims=True), losses.mean(axis=0, keepdims=True)
    return losses - rows - columns + losses.mean()


def permutation_p_value(
    matrices: Sequence[LossMatrix], seed: int = 0, num_permutations: int = NUM_PERMUTATIONS
) -> float:
    """Two-sided p of "who has which answer does not matter", over the models of all seeds.

    Answers are permuted among the people of each matrix by itself; the sum over all of them is
    compared, the observed assignment counted in.

    Raises:
        ValueError: a loss is not finite.
    """
    if not all(matrix.is_complete for matrix in matrices):
        raise ValueError("answers can be permuted only where each was scored at each question")
    rng = np.random.default_rng(seed)
    permuted, observed = np.zeros(num_permutations), 0.0
    for matrix in matrices:
        rest = centred(matrix.square)
        n = len(rest)
        assigned = rng.random((num_permutations, n)).argsort(axis=1)
        permuted += rest[np.arange(n), assigned].sum(axis=1)
        observed += float(np.trace(rest))
    slack = 1e-9 * float(np.abs(permuted).max(initial=abs(observed)))  # sums round differently
    extreme = int((np.abs(permuted) >= abs(observed) - slack).sum())
    return (1 + extreme) / (1 + num_permutations)
