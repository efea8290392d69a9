"""Results folders of two-hop studies, with curves of every setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lrray.results.run import Run
from lrray.studies.cell import Cell
from tests.reports.runs import new_run

EPOCHS = 20
CATEGORIES = {"founding_year": "year", "city": "city", "country": "country"}


def twohop_run(
    results: Path,
    gaps: Mapping[str, float],
    seeds: int = 3,
    datasets: Sequence[str] = ("universities",),
    people: int = 20,
) -> Run:
    """Finished cells of tasks with the given gaps at the end; losses differ more by seed."""
    folder = new_run(results, "twohop", kind="twohop")
    for i, (task, gap) in enumerate(gaps.items()):
        for j, dataset in enumerate(datasets):
            for seed in range(seeds):
                axes = {"task": task, "dataset": dataset, "seed": seed}
                rng = np.random.default_rng([i, j, seed])
                points = [_point(epoch, gap, rng) for epoch in range(EPOCHS + 1)]
                cell = Cell("twohop", {**axes, "facts": None}, axes, "c0de")
                for point in points:
                    folder.append_metrics(cell.id, point)
                folder.save_cell(cell, _result(points[-1], gap, people, rng), 1.0)
    return Run(folder.path)


def _point(epoch: int, gap: float, rng: np.random.Generator) -> dict[str, float]:
    """What is logged after an epoch; answers are generated after every fifth."""
    own = gap * (1 - math.exp(-epoch / 3)) + 0.05 * rng.normal() * (epoch > 0)
    true = 2 + 2 * math.exp(-epoch) + 0.2 * rng.normal()
    point = {"step": epoch, "gap_2hop": own, "eval/2hop_nocot_loss": true}
    point["eval/2hop_nocot_shuffled_loss"] = true + own
    if epoch % 5 == 0:
        share = epoch / EPOCHS
        point |= {"acc_a": share, "acc_2hop_cot": 0.1 + 0.3 * share}
        point["acc_2hop_nocot"] = min(1.0, max(0.0, 0.1 + 0.2 * gap * share + 0.02 * rng.normal()))
    return point


def _result(
    last: Mapping[str, float], gap: float, people: int, rng: np.random.Generator
) -> dict[str, object]:
    numbers = {k: v for k, v in last.items() if k != "step"}
    own = {name: (gap + rng.normal(size=people)).tolist() for name in CATEGORIES}
    for name in ("", *(f"_{attribute}" for attribute in CATEGORIES)):
        numbers |= {
            f"gap_2hop{name}": float(np.mean(own.get(name[1:], list(own.values())))),
            f"acc_2hop{name}_nocot": last["acc_2hop_nocot"], f"acc_2hop{name}_cot": 0.4,
            f"acc_2hop{name}_nocot_latent": 0.2, f"acc_2hop{name}_nocot_plain": 0.2,
            f"acc_2hop{name}_cot_first_hop": 0.8, f"acc_2hop{name}_cot_plain": 0.4,
            f"chance_2hop{name}": 0.06, f"commonest_2hop{name}": 0.18,
            f"acc_second_hop_before{name}": 0.9, f"acc_second_hop{name}": 0.9,
        }  # fmt: skip
    attributes = {
        name: {"category": category, "people": people, "fixed_points": 0}
        for name, category in CATEGORIES.items()
    }
    return {**numbers, "gap_2hop_before": 0.0, "gaps": own, "attributes": attributes}
