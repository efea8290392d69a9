"""What losses of answers tell: how likely true ones are, and the gap to those of other people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from lrray.twohop.answering import Answering
from lrray.twohop.losses import TokenLosses
from lrray.twohop.matrix import Floats, LossMatrix
from lrray.twohop.rows import Message, Row
from lrray.twohop.splits import AttributeSplits, Splits

GAPS = ("gap_2hop_{}", "gap_first_{}", "gap_later_{}", "gap_end_{}")
"""Names of an attribute's gap and of its three parts, which add up to it."""


@dataclass(frozen=True)
class LossMetrics:
    """Losses of one evaluation."""

    metrics: dict[str, float]
    gaps: dict[str, list[float]]
    """Each attribute's gap person by person; the mean is the gap."""
    matrices: dict[str, LossMatrix]


@dataclass(frozen=True)
class _Parts:
    """Mean loss per token ``[N, M]`` of an attribute, and what parts of the answers add to it."""

    whole: LossMatrix
    first: Floats
    later: Floats
    end: Floats


def loss_metrics(asked: Answering, splits: Splits) -> LossMetrics:
    """Scores every answer of an attribute at every question, and the true ones after reasoning.

    Where facts stand before the question, only answers that are shown there are scored.
    """
    drafts = {name: _draft(split) for name, split in splits.attributes.items()}
    chats = [
        _answered(splits.attributes[name].nocot[i], draft.answers[j])
        for name, draft in drafts.items()
        for i, j in _scored(draft, splits.attributes[name])
    ]
    chats += [row["messages"] for split in splits.attributes.values() for row in split.cot]
    losses = iter(asked.token_losses([asked.chat.example(messages) for messages in chats]))
    parts = {
        name: _filled(draft, _scored(draft, splits.attributes[name]), losses)
        for name, draft in drafts.items()
    }
    metrics: dict[str, float] = {}
    gaps: dict[str, list[float]] = {}
    for name, split in splits.attributes.items():
        gaps[name] = _gaps(split, parts[name].whole)
        metrics |= _metrics(name, split, parts[name])
        cot = [next(losses) for _ in split.cot]
        metrics[f"eval/2hop_{name}_cot_loss"] = float(np.mean([np.mean(own) for own in cot]))
    return LossMetrics(metrics, gaps, {name: own.whole for name, own in parts.items()})


def _draft(split: AttributeSplits) -> LossMatrix:
    """The matrix without its losses."""
    given = [row["answer"] for row in split.nocot]
    answers = tuple(dict.fromkeys(given))
    donors = [given.index(answer) for answer in answers]
    return LossMatrix(
        people=tuple(row["person"] for row in split.nocot),
        answers=answers,
        own=np.array([answers.index(answer) for answer in given]),
        right=np.array(split.right, bool)[:, donors],
        in_name=np.array([row["value_in_name"] for row in split.nocot], bool),
        nats=np.full((len(given), len(answers)), np.nan),
    )


def _scored(draft: LossMatrix, split: AttributeSplits) -> list[tuple[int, int]]:
    """Pairs of person and answer that are scored."""
    if split.shown is None:
        return [(int(i), int(j)) for i, j in np.ndindex(draft.nats.shape)]
    return [
        (i, j) for i, shown in enumerate(split.shown) for j in sorted({*draft.own[shown].tolist()})
    ]


def _answered(row: Row, answer: str) -> list[Message]:
    return [*row["messages"][:-1], {"role": "assistant", "content": answer}]


def _filled(
    draft: LossMatrix, pairs: Sequence[tuple[int, int]], losses: Iterator[TokenLosses]
) -> _Parts:
    first, later, end = (np.full(draft.nats.shape, np.nan) for _ in range(3))
    for (i, j), own in zip(pairs, islice(losses, len(pairs)), strict=True):
        first[i, j] = own[0] / len(own)
        later[i, j] = sum(own[1:-1]) / len(own)
        end[i, j] = own[-1] / len(own) if len(own) > 1 else 0.0
    return _Parts(replace(draft, nats=first + later + end), first, later, end)


def _metrics(name: str, split: AttributeSplits, parts: _Parts) -> dict[str, float]:
    whole = parts.whole
    gaps = [
        _mean(_gaps(split, replace(whole, nats=nats)))
        for nats in (whole.nats, parts.first, parts.later, parts.end)
    ]
    true = float(np.diagonal(whole.square).mean())
    metrics = dict(zip((title.format(name) for title in GAPS), gaps, strict=True))
    metrics[f"eval/2hop_{name}_nocot_loss"] = true
    metrics[f"eval/2hop_{name}_nocot_shuffled_loss"] = true + gaps[0]
    return metrics


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _gaps(split: AttributeSplits, matrix: LossMatrix) -> list[float]:
    """The gap person by person: over all permutations, or the shuffles among what is shown."""
    if matrix.is_complete:
        return [float(gap) for gap in matrix.person_gaps()]
    column = {answer: j for j, answer in enumerate(matrix.answers)}
    n = len(matrix.people)
    shuffled = [
        float(matrix.nats[i % n, column[row["answer"]]])
        for i, row in enumerate(split.nocot_shuffled)
    ]
    return person_gaps(split, np.diagonal(matrix.square).tolist(), shuffled)


def person_gaps(
    attribute: AttributeSplits, true: Sequence[float], shuffled: Sequence[float]
) -> list[float]:
    """How much worse each person's shuffled answers do than the right one; the mean is the gap.

    The gap is the mean over all shuffled rows that are no fixed points. Where some are, people have
    different numbers of such rows, and a mean of means over people would favour rare answers: a
    model that knew nothing but how often each answer comes would show a gap. So a person has the
    sum over their rows, divided by the average number of rows of a person.

    Args:
        attribute: whose rows the losses are of.
        true: losses of ``attribute.nocot``.
        shuffled: losses of ``attribute.nocot_shuffled``.
    """
    n = len(true)
    wrong: list[list[float]] = [[] for _ in range(n)]
    for i, (row, loss) in enumerate(zip(attribute.nocot_shuffled, shuffled, strict=True)):
        if not row["fixed_point"]:
            wrong[i % n].append(loss - true[i % n])
    counted = [differences for differences in wrong if differences]
    rows_each = sum(map(len, counted)) / max(1, len(counted))
    return [sum(differences) / rows_each for differences in counted]
