"""Means over seeds: the one aggregation that tables, reports and notebooks share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lrray.results.groups import groups_of, means, means_table, varying
from lrray.results.record import DONE, FAILED, CellRecord
from lrray.statistics import summarize
from lrray.studies.cell import Cell


def record(axes: Mapping[str, Any], result: Mapping[str, Any], seed: Any = None) -> CellRecord:
    seed = axes.get("seed") if seed is None else seed
    cell = Cell("function", {"axes": dict(axes), "seed": seed}, axes, code="c0de")
    return CellRecord.of(cell, DONE, 1.0, result)


def grid(seeds: int = 4) -> list[CellRecord]:
    rng = np.random.default_rng(0)
    return [
        record({"pair": pair, "size": size, "seed": seed}, {"loss": float(rng.normal())})
        for pair, size, seed in itertools.product("ab", (4, 8), range(seeds))
    ]


def losses(records: list[CellRecord], **axes: Any) -> list[float]:
    return [r.result["loss"] for r in records if axes.items() <= dict(r.axes).items()]


def test_a_mean_has_the_error_and_interval_over_seeds() -> None:
    records = grid()
    table = means(records, "loss", ["pair", "size"])
    assert len(table) == 4
    for row in table.to_dict("records"):
        expected = summarize(losses(records, pair=row["pair"], size=row["size"]))
        assert row["mean"] == pytest.approx(expected.mean)
        assert row["se"] == pytest.approx(expected.standard_error)
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
        assert row["n"] == 4


def test_a_seed_counts_once_whatever_else_varies() -> None:
    records = grid()
    (row,) = means(records, "loss", ["pair"]).query("pair == 'a'").to_dict("records")
    by_seed = [np.mean(losses(records, pair="a", seed=seed)) for seed in range(4)]
    expected = summarize(by_seed)
    assert (row["mean"], row["se"]) == pytest.approx((expected.mean, expected.standard_error))
    assert row["n"] == 4


def test_a_seed_that_lacks_a_setting_is_left_out_of_a_mean_over_settings() -> None:
    records = [r for r in grid() if (r.axes["size"], r.axes["seed"]) != (8, 3)]
    (row,) = means(records, "loss", ["pair"]).query("pair == 'a'").to_dict("records")
    by_seed = [np.mean(losses(records, pair="a", seed=seed)) for seed in range(3)]
    assert (row["mean"], row["n"]) == (pytest.approx(np.mean(by_seed)), 3)


def test_the_error_is_over_seeds_whatever_error_cells_give_for_their_own_numbers() -> None:
    values = [1.0, 2.0, 4.0]
    records = [
        record({"rate": 0.1, "seed": i}, {"loss": v, "loss_se": 0.001, "other_se": 5.0})
        for i, v in enumerate(values)
    ]
    (row,) = means_table(records).to_dict("records")
    expected = summarize(values)
    assert (row["loss"], row["loss_se"]) == pytest.approx((expected.mean, expected.standard_error))
    assert (row["seeds"], row["other_se"]) == (3, 5.0)
    assert "loss_se_se" not in row
    (alone,) = means_table(records[:1]).to_dict("records")
    assert math.isnan(alone["loss_se"])


def test_a_cell_that_repeats_seeds_counts_as_so_many() -> None:
    result = {"loss": 2.0, "loss_se": 0.5, "num_seeds": 3, "per_seed": {"loss": [1.0, 2.0, 3.0]}}
    (row,) = means_table([record({"rate": 0.1}, result, seed=[5, 6, 7])]).to_dict("records")
    expected = summarize([1.0, 2.0, 3.0])
    assert (row["seeds"], row["loss"]) == (3, 2.0)
    assert row["loss_se"] == pytest.approx(expected.standard_error)


def test_a_seed_without_a_number_does_not_count_for_it() -> None:
    result = {"share": 0.5, "num_seeds": 3, "per_seed": {"share": [0.25, None, 0.75]}}
    table = means([record({"rate": 0.1}, result, seed=[5, 6, 7])], "share", ["rate"])
    assert table[["mean", "n"]].to_numpy().tolist() == [[0.5, 2]]


def test_numbers_that_only_some_settings_give_stand_in_their_rows() -> None:
    records = [record({"kind": "a"}, {"loss": 1.0}), record({"kind": "b"}, {"loss": 2.0, "aux": 7})]
    rows = {row["kind"]: row for row in means_table(records).to_dict("records")}
    assert math.isnan(rows["a"]["aux"])
    assert (rows["b"]["loss"], rows["b"]["aux"]) == (2.0, 7.0)


def test_axes_may_be_lists_and_cells_that_failed_do_not_count() -> None:
    records = [record({"layers": [1, 2], "seed": s}, {"loss": float(s)}) for s in (0, 1)]
    failed = CellRecord.of(Cell("function", {}, {"layers": [3]}, "c0de"), FAILED, 1.0, reason="no")
    (row,) = means_table([*records, failed]).to_dict("records")
    assert (row["layers"], row["seeds"], row["loss"]) == ([1, 2], 2, 0.5)
    assert means_table([failed]).empty
    assert means([failed], "loss", ["layers"]).empty


def test_cells_of_before_an_axis_take_its_value_from_their_settings() -> None:
    """As where steps are doubled in a run that had no such axis."""
    records = []
    for steps, axes in ((20, {"pair": "a"}), (40, {"train.steps": 40, "pair": "a"})):
        for seed in (0, 1):
            settings = {"train": {"steps": steps}, "seed": seed}
            cell = Cell("train", settings, {**axes, "seed": seed}, code="c0de")
            records.append(CellRecord.of(cell, DONE, 1.0, {"loss": 1.0}))
    groups = groups_of(records)
    assert [group.axes for group in groups] == [
        {"pair": "a", "train.steps": 20}, {"pair": "a", "train.steps": 40},
    ]  # fmt: skip
    assert varying(groups) == {"train.steps": [20, 40]}
    assert [len(group.records) for group in groups] == [2, 2]


def test_an_axis_without_a_value_is_one_setting_whatever_numbers_its_cells_have() -> None:
    """Where only cells without a surrogate have a number, its table has nothing but None there."""
    records = [
        record(
            {"surrogate": surrogate, "seed": seed},
            {"loss": 1.0 + seed} | ({"unigram": 4.0} if surrogate is None else {}),
        )
        for surrogate, seed in itertools.product([None, 2], range(3))
    ]
    whole, surrogates = means_table(records).to_dict("records")
    assert (whole["surrogate"], whole["loss"], whole["unigram"]) == (None, 2.0, 4.0)
    assert (surrogates["surrogate"], surrogates["loss"]) == (2, 2.0)
    assert isinstance(surrogates["surrogate"], int)
