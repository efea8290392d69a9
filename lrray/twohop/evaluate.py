"""What a fine-tuned model knows: first hops, both hops with and without reasoning, and the gap.

Names of the metrics, for an attribute e3:

``acc_a``
    trained first-hop facts that are answered right; below 1 at the end, nothing else means much
``acc_2hop_{e3}_nocot``, ``acc_2hop_{e3}_cot``
    two-hop questions answered right, at once and after reasoning, strictly graded;
    ``…_plain`` the same by plain substring, as earlier work graded
``acc_2hop_{e3}_nocot_latent``
    right at once without having named e2 first
``acc_2hop_{e3}_cot_first_hop``
    answers with reasoning that name e2, and before the answer
``acc_second_hop_{e3}``
    the same facts asked about e2 by name, before training and at the end: does the model know
    them at all?
``eval/2hop_{e3}_nocot_loss``, ``…_cot_loss``, ``…_nocot_shuffled_loss``
    mean over rows of the answer's loss in nats per token
``gap_2hop_{e3}``
    shuffled minus true no-CoT loss of the same questions: the mean over all shuffled rows but those
    that kept a right answer

``acc_2hop_nocot``, ``gap_2hop``, … are means over attributes, each weighing the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrray.twohop.answering import Answering
from lrray.twohop.config import EvaluateConfig
from lrray.twohop.grading import Expected, grade
from lrray.twohop.rows import FIRST_HOP
from lrray.twohop.rows import Row as TestRow
from lrray.twohop.splits import AttributeSplits, Splits

Sample = dict[str, Any]
"""One generated text with its question, its expected answer and its grades."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one dataset."""

    metrics: dict[str, float]
    samples: list[Sample]
    """Every generated text; empty where nothing was generated."""
    gaps: dict[str, list[float]]
    """Each attribute's gap person by person, in the order of the rows; see :func:`person_gaps`."""


def evaluate(
    asked: Answering,
    splits: Splits,
    config: EvaluateConfig,
    *,
    generate: bool = True,
    second_hop: bool = False,
) -> Evaluation:
    """Measures everything above.

    Args:
        asked: the model.
        splits: of the dataset.
        config: batch sizes and lengths.
        generate: whether to generate texts and grade them too.
        second_hop: whether to ask for the second hop alone as well.
    """
    metrics, gaps = _losses(asked, splits)
    samples = _samples(asked, splits, config, second_hop) if generate else []
    metrics |= accuracies(samples)
    return Evaluation(metrics | means(metrics, list(splits.attributes)), samples, gaps)


def _losses(asked: Answering, splits: Splits) -> tuple[dict[str, float], dict[str, list[float]]]:
    kinds = ("nocot", "cot", "nocot_shuffled")
    rows = [
        (name, kind, row)
        for name, attribute in splits.attributes.items()
        for kind in kinds
        for row in getattr(attribute, kind)
    ]
    examples = [asked.chat.example(row["messages"]) for _, _, row in rows]
    by_split: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (name, kind, _), loss in zip(rows, asked.losses(examples), strict=True):
        by_split[name, kind].append(loss)
    metrics = {
        f"eval/2hop_{name}_{kind}_loss": float(np.mean(losses))
        for (name, kind), losses in by_split.items()
    }
    gaps = {
        name: person_gaps(attribute, by_split[name, "nocot"], by_split[name, "nocot_shuffled"])
        for name, attribute in splits.attributes.items()
    }
    for name, values in gaps.items():
        metrics[f"gap_2hop_{name}"] = float(np.mean(values)) if values else 0.0
    return metrics, gaps


def person_gaps(
    attribute: AttributeSplits, true: Sequence[float], shuffled: Sequence[float]
) -> list[float]:
    """How much worse each person's wrong answers do than the right one; the mean is the gap.

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


def _samples(
    asked: Answering, splits: Splits, config: EvaluateConfig, second_hop: bool
) -> list[Sample]:
    attributes = splits.attributes.values()
    short = [("first_hop", row) for row in splits.first_hop]
    short += [("nocot", row) for split in attributes for row in split.nocot]
    if second_hop:
        short += [("second_hop", row) for split in attributes for row in split.second_hop]
    long = [("cot", row) for split in attributes for row in split.cot]
    return [
        *_graded(asked, short, config.max_new_tokens),
        *_graded(asked, long, config.max_new_tokens_cot),
    ]


def _graded(
    asked: Answering, rows: Sequence[tuple[str, TestRow]], max_new_tokens: int
) -> list[Sample]:
    prompts = [asked.chat.prompt(row["messages"]) for _, row in rows]
    texts = asked.texts(prompts, max_new_tokens)
    return [_sample(kind, row, text) for (kind, row), text in zip(rows, texts, strict=True)]


def _sample(kind: str, row: TestRow, text: str) -> Sample:
    result = grade(text, Expected.from_row(row))
    return {
        "split": kind,
        "attribute": row["attribute"],
        "person": row["person"],
        "question": row["question"],
        "answer": row["answer"],
        "answer_intermediate": row["answer_intermediate"],
        "text": text,
        "strict": result.strict,
        "plain_substring": result.plain_substring,
        "entity_first": result.entity_first,
        "strict_nocot": result.strict_nocot,
    }


_ACCURACIES = {
    "nocot": {
        "acc_2hop_{}_nocot": "strict",
        "acc_2hop_{}_nocot_plain": "plain_substring",
        "acc_2hop_{}_nocot_latent": "strict_nocot",
    },
    "cot": {
        "acc_2hop_{}_cot": "strict",
        "acc_2hop_{}_cot_plain": "plain_substring",
        "acc_2hop_{}_cot_first_hop": "entity_first",
    },
    "second_hop": {"acc_second_hop_{}": "strict"},
}
"""Split -> name of a metric -> the grade it averages."""


def accuracies(samples: Iterable[Sample]) -> dict[str, float]:
    """Shares of right answers, attribute by attribute."""
    grades: dict[str, list[bool]] = defaultdict(list)
    for sample in samples:
        if sample["attribute"] == FIRST_HOP:
            grades["acc_a"].append(sample["strict"])
            continue
        for name, key in _ACCURACIES[sample["split"]].items():
            grades[name.format(sample["attribute"])].append(sample[key])
    return {name: float(np.mean(values)) for name, values in grades.items()}


def means(metrics: Mapping[str, float], attributes: Sequence[str]) -> dict[str, float]:
    """Mean over attributes of every number that there is one of for each."""
    losses = [f"eval/2hop_{{}}_{kind}_loss" for kind in ("nocot", "cot", "nocot_shuffled")]
    shares = [name for names in _ACCURACIES.values() for name in names]
    return {
        name.replace("_{}", ""): float(np.mean([metrics[name.format(a)] for a in attributes]))
        for name in (*losses, *shares, "gap_2hop_{}")
        if name.format(attributes[0]) in metrics
    }
