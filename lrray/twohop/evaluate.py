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
    shuffled minus true no-CoT loss of the same questions, over all permutations of the answers: see
    :mod:`lrray.twohop.matrix`
``gap_first_{e3}``, ``gap_later_{e3}``, ``gap_end_{e3}``
    what the answer's first token, its further ones and its end of turn add to the gap
``instead_e2_{e3}``, ``instead_other_e2_{e3}``
    answers at once that are not right and name e2, or the e2 of another person
``acc_context_{e3}``, ``acc_worked_{e3}``
    the positive controls, at the end: both hops stand before the question, and reasoning after
    worked examples of other people

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
from lrray.twohop.controls import NO_CONTROLS, Controls
from lrray.twohop.grading import Expected, grade, names_any
from lrray.twohop.loss_metrics import GAPS, loss_metrics
from lrray.twohop.matrix import LossMatrix
from lrray.twohop.rows import FIRST_HOP
from lrray.twohop.rows import Row as TestRow
from lrray.twohop.splits import Splits

Sample = dict[str, Any]
"""One generated text with its question, its expected answer and its grades."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one dataset."""

    metrics: dict[str, float]
    samples: list[Sample]
    """Every generated text; empty where nothing was generated."""
    gaps: dict[str, list[float]]
    """Each attribute's gap person by person, in the order of the rows; the mean is the gap."""
    matrices: dict[str, LossMatrix]
    """Each attribute's losses of all answers at all questions."""


def evaluate(
    asked: Answering,
    splits: Splits,
    config: EvaluateConfig,
    *,
    generate: bool = True,
    second_hop: bool = False,
    controls: Controls = NO_CONTROLS,
) -> Evaluation:
    """Measures everything above.

    Args:
        asked: the model.
        splits: of the dataset.
        config: batch sizes and lengths.
        generate: whether to generate texts and grade them too.
        second_hop: whether to ask for the second hop alone as well.
        controls: positive controls to ask too.
    """
    found = loss_metrics(asked, splits)
    samples = _samples(asked, splits, config, second_hop, controls) if generate else []
    metrics = found.metrics | accuracies(samples)
    averaged = means(metrics, list(splits.attributes))
    return Evaluation(metrics | averaged, samples, found.gaps, found.matrices)


def _samples(
    asked: Answering,
    splits: Splits,
    config: EvaluateConfig,
    second_hop: bool,
    controls: Controls,
) -> list[Sample]:
    attributes = splits.attributes.values()
    short = [("first_hop", row) for row in splits.first_hop]
    short += [("nocot", row) for split in attributes for row in split.nocot]
    if second_hop:
        short += [("second_hop", row) for split in attributes for row in split.second_hop]
    short += [("context", row) for row in controls.context]
    long = [("cot", row) for split in attributes for row in split.cot]
    long += [("worked", row) for row in controls.worked]
    entities = {row["person"]: row["answers"] for row in splits.first_hop}
    return [
        *_graded(asked, short, config.max_new_tokens, entities),
        *_graded(asked, long, config.max_new_tokens_cot, entities),
    ]


def _graded(
    asked: Answering,
    rows: Sequence[tuple[str, TestRow]],
    max_new_tokens: int,
    entities: Mapping[str, Sequence[str]],
) -> list[Sample]:
    prompts = [asked.chat.prompt(row["messages"]) for _, row in rows]
    texts = asked.texts(prompts, max_new_tokens)
    return [
        _sample(kind, row, text, entities) for (kind, row), text in zip(rows, texts, strict=True)
    ]


def _sample(kind: str, row: TestRow, text: str, entities: Mapping[str, Sequence[str]]) -> Sample:
    result = grade(text, Expected.from_row(row))
    others = [name for person, own in entities.items() if person != row["person"] for name in own]
    instead_e2 = not result.strict and result.entity_named
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
        "instead_e2": instead_e2,
        "instead_other_e2": not (result.strict or instead_e2) and names_any(text, others),
    }


_ACCURACIES = {
    "nocot": {
        "acc_2hop_{}_nocot": "strict",
        "acc_2hop_{}_nocot_plain": "plain_substring",
        "acc_2hop_{}_nocot_latent": "strict_nocot",
        "instead_e2_{}": "instead_e2",
        "instead_other_e2_{}": "instead_other_e2",
    },
    "cot": {
        "acc_2hop_{}_cot": "strict",
        "acc_2hop_{}_cot_plain": "plain_substring",
        "acc_2hop_{}_cot_first_hop": "entity_first",
    },
    "second_hop": {"acc_second_hop_{}": "strict"},
    "context": {"acc_context_{}": "strict"},
    "worked": {"acc_worked_{}": "strict"},
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
        for name in (*losses, *shares, *GAPS)
        if name.format(attributes[0]) in metrics
    }
