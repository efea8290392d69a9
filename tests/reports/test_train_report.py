"""The report of a training study says which pair is learnt better, and how sure that is."""

from __future__ import annotations

import csv
import re
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lrray.reports.content import Section
from lrray.reports.report import write_report
from lrray.reports.style import COLORS
from lrray.reports.train import report as train
from lrray.reports.train.figures import excess_figure, settings_of
from lrray.results.folder import RunFolder
from lrray.results.groups import groups_of, means_table
from lrray.results.run import Run
from lrray.statistics import holm, paired_difference
from lrray.studies.cell import Cell
from tests.reports.runs import new_run

SIZES = {"num_parameters": 100, "num_non_embedding_parameters": 60, "flops_per_token": 700}
PAIRS = ("easy_to_infer", "easy_to_predict")


def excess(pair: str, size: int | str, seed: int) -> float:
    """Easy-to-infer latents are learnt better by 0.3 bits and a little noise; seeds differ."""
    size = size if isinstance(size, int) else len(size)
    noise = np.random.default_rng([size, seed, PAIRS.index(pair)]).normal(0, 0.02)
    return 1 / size + 0.2 * seed + 0.3 * PAIRS.index(pair) + float(noise) + 0.1


def fill(
    results: Path, sizes: tuple[int | str, ...] = (8, 32), seeds: int = 6, **more: float
) -> Run:
    folder = new_run(results, "latents", kind="train")
    for pair in PAIRS:
        for size in sizes:
            for seed in range(seeds):
                save(folder, pair, size, seed, more)
    return Run(folder.path)


def save(folder: RunFolder, pair: str, size: int | str, seed: int, more: dict[str, float]) -> None:
    settings = {"pair": pair, "model": {"hidden_size": size}, "seed": seed}
    settings["compressors"] = [name.removesuffix("_bits") for name in more if "_bits" in name]
    cell = Cell("train", settings, {"pair": pair, "model.hidden_size": size, "seed": seed}, "c0de")
    value = excess(pair, size, seed)
    for step in (10, 20):
        folder.append_metrics(cell.id, {"step": step, "train_loss_bits": 3.0})
        folder.append_metrics(cell.id, {"step": step, "excess_bits": value + 10 / step})
    result = {"loss_bits": 2 + value, "bound_bits": 2.0, "excess_bits": value}
    result |= {"trigram_bits": 3.0, "share_beyond_trigram": 1 - value}  # no compressor's
    folder.save_cell(cell, {**result, "excess_bits_se": 0.01, **SIZES, **more}, 1.0)


def section_of(run: Run, title: str) -> Section:
    (section,) = (part for part in train.sections(run) if part.title == title)
    return section


def test_the_difference_is_paired_by_seed_and_adjusted_after_holm(tmp_path: Path) -> None:
    compared = train.comparisons(groups_of(fill(tmp_path).wanted_records()))
    expected = [
        paired_difference(*([excess(pair, size, seed) for seed in range(6)] for pair in PAIRS))
        for size in (8, 32)
    ]
    assert [one.axes for one in compared] == [{"model.hidden_size": 8}, {"model.hidden_size": 32}]
    for one, other in zip(compared, expected, strict=True):
        assert one.result.difference.mean == pytest.approx(other.difference.mean)
        assert one.result.p_value == other.p_value == 2 / 2**6
        # Between seeds excess differs by more than the effect: only pairing shows it.
        assert one.result.difference.high < 0 < one.of_first.high - one.of_second.low
    assert [one.p_adjusted for one in compared] == holm([p.p_value for p in expected])


def test_runs_of_other_lengths_are_not_subtracted_from_each_other(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,))
    for seed in range(6):
        axes = {"pair": PAIRS[0], "model.hidden_size": 8, "seed": seed}
        longer = {"pair": PAIRS[0], "train": {"steps": 20000}, "seed": seed}
        result = {"excess_bits": -5.0, "excess_bits_se": 0.01}
        RunFolder(run.path).save_cell(Cell("train", longer, axes, "c0de"), result, 1.0)
    (one,) = train.comparisons(groups_of(run.wanted_records()))
    assert one.of_first.mean > 0


def test_pairs_with_a_tuned_rate_each_are_compared_all_the_same(tmp_path: Path) -> None:
    tuned = {"learning_rate": {"best_of": "results/rates", "by": ["pair"]}, "steps": 9}
    for name, settings, number in (("tuned", {"train": tuned}, 1), ("not", {}, 0)):
        folder = new_run(tmp_path, name, kind="train", **settings)
        for pair in PAIRS:
            for seed in range(3):
                axes = {"pair": pair, "seed": seed}
                train_settings = {"learning_rate": 0.1 + 0.2 * PAIRS.index(pair), "steps": 9}
                cell = Cell("train", {**axes, "train": train_settings}, axes, "c")
                folder.save_cell(cell, {"excess_bits": excess(pair, 8, seed)}, 1.0)
        run = Run(folder.path)
        assert len(train.comparisons(groups_of(run.wanted_records()), run.tuned)) == number
        assert train.answer(run).startswith("Excess loss of") == bool(number)


def test_pairs_of_each_seeds_own_draw_are_seeds_of_one_setting(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "latents", kind="train")

    def text(draw: int | None) -> str:
        for pair in PAIRS:
            for seed in range(3):
                own = seed if draw is None else draw
                settings = {"graph": {"alpha": 0.1 * own}, "graph_seed": own, "seed": seed}
                cell = Cell("train", {**settings, "pair": pair}, {"pair": pair, "seed": seed}, "c")
                folder.save_cell(cell, {"excess_bits": excess(pair, 8, seed)}, 1.0)
        run = Run(folder.path)
        (one,) = train.comparisons(groups_of(run.wanted_records()))
        assert one.result.difference.n == 3
        return section_of(run, "Comparison").text

    assert "seeds vary the kernel draw, the data and the initial weights together" in text(None)
    for path in (folder.path / "cells").glob("*.json"):
        path.unlink()
    assert "seeds vary the data and the initial weights, on one kernel draw, together" in text(42)


def test_the_ends_are_the_answer_and_pairs_between_are_compared_too(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,))
    (alone,) = train.comparisons(groups_of(run.wanted_records()))
    for seed in range(6):
        axes = {"pair": "between_1", "model.hidden_size": 8, "seed": seed}
        settings = {"pair": "between_1", "model": {"hidden_size": 8}, "seed": seed}
        settings["compressors"] = []
        result = {"excess_bits": 0.7, "excess_bits_se": 0.01}
        RunFolder(run.path).save_cell(Cell("train", settings, axes, "c0de"), result, 1.0)
    ends, between = train.comparisons(groups_of(run.wanted_records()))
    assert (ends.second, between.second) == ("easy_to_predict", "between_1")
    assert ends.result == alone.result
    assert [ends.p_adjusted, between.p_adjusted] == holm(
        [ends.result.p_value, between.result.p_value]
    )
    assert between.result.difference.mean == pytest.approx(alone.of_first.mean - 0.7)
    assert "between" not in train.answer(run)


def test_equivalence_is_claimed_by_its_own_test_alone(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,))
    assert "No equivalence is claimed, whatever p" in section_of(run, "Comparison").text
    for margin, said in ((0.5, "shown to be within 0.5"), (0.2, "not shown to be within 0.2")):
        settings = run.path / "study.yaml"
        settings.write_text(f"{settings.read_text()}\nequivalence_margin_bits: {margin}\n")
        again = Run(run.path)
        assert f" after Holm; {said} bits/token, TOST p = " in train.answer(again)
        assert f"margin of {margin:g} bits/token" in section_of(again, "Comparison").text
        settings.write_text(settings.read_text().rpartition("\n\n")[0])


def test_the_answer_is_one_sentence_with_interval_n_and_p(tmp_path: Path) -> None:
    answer = train.answer(fill(tmp_path, sizes=(8,)))
    assert answer.startswith("Excess loss of easy-to-infer minus that of easy-to-predict: -0.")
    assert "95 % interval -0." in answer
    assert "n = 6 seeds, permutation p = 0.031" in answer
    assert answer.count(". ") == 0


def test_the_answer_tells_excess_losses_along_an_axis_of_numbers(tmp_path: Path) -> None:
    answer = train.answer(fill(tmp_path, sizes=(32, 4, 8)))
    (told,) = re.findall(r"^Excess loss in bits/token by hidden_size: (.*?)\. Excess", answer)
    infer, predict = told.split("; ")
    for line, pair in ((infer, PAIRS[0]), (predict, PAIRS[1])):
        assert line.startswith(pair.replace("_", "-"))
        numbers = re.findall(r"([\d.]+) ± [\d.]+ \((\d+)\)", line)
        assert [int(size) for _, size in numbers] == [4, 8, 32]
        for mean, size in numbers:
            means = np.mean([excess(pair, int(size), seed) for seed in range(6)])
            assert float(mean) == pytest.approx(means, abs=0.05)


def test_the_answer_names_compressors_by_their_distance_to_the_bound(tmp_path: Path) -> None:
    answer = train.answer(fill(tmp_path, sizes=(8,), zlib_bits=4.0, ppmd_bits=3.0))
    said = answer.partition("above the exact bound, easy-to-infer: ")[2].partition(".B")[0]
    assert said.index("the model ") < said.index("ppmd ") < said.index("zlib ")
    assert answer.count("Bits/token above the exact bound") == 2


def test_many_settings_are_counted_rather_than_listed(tmp_path: Path) -> None:
    answer = train.answer(fill(tmp_path, sizes=(4, 8, 16, 32, 64), seeds=4))
    assert "the 95 % interval lies below 0 in 5 of 5 settings; from hidden_size=" in answer


def test_of_many_settings_those_are_named_where_the_answer_does_not_hold(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(4, 8, 16, 32), seeds=4)
    folder = RunFolder(run.path)
    for size, signs in ((64, (1, -1, 1, -1)), (128, (1, 1, 1, 1))):
        for seed, sign in enumerate(signs):
            save(folder, PAIRS[0], size, seed, {"excess_bits": 0.5 + (0.2 + 0.01 * seed) * sign})
            save(folder, PAIRS[1], size, seed, {"excess_bits": 0.5})
    answer = train.answer(run)
    assert "below 0 in 4 of 6 settings, not with hidden_size=64 (around 0), " in answer
    assert "hidden_size=128 (above 0); from hidden_size=" in answer


def test_a_single_seed_claims_no_interval(tmp_path: Path) -> None:
    assert "one seed, no interval" in train.answer(fill(tmp_path, sizes=(8,), seeds=1))


def test_seeds_that_only_one_pair_has_are_left_out(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,), seeds=3)
    save(RunFolder(run.path), "easy_to_infer", 8, 9, {})
    assert train.comparisons(groups_of(run.wanted_records()))[0].result.difference.n == 3


def test_a_table_of_many_numbers_is_made_without_a_warning(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,), **{f"number_{i}": float(i) for i in range(120)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = means_table(run.wanted_records())
    assert set(table["number_119"]) == {119.0}


def test_the_least_p_is_that_of_the_comparison_with_most_seeds(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,), seeds=6)
    for pair in PAIRS:
        for seed in range(3):
            save(RunFolder(run.path), pair, 32, seed, {})
    text = write_report(run.path)[0].read_text()
    # 2 / 2^6 for six seeds, times two comparisons.
    assert "With 3 to 6 seeds and 2 comparisons the smallest p " in text
    assert " leaves is 0.062." in text


def test_the_page_holds_the_comparison_and_its_figures(tmp_path: Path) -> None:
    run = fill(tmp_path, zlib_bits=4.0, ppmd_bits=3.0)
    page, *figures = write_report(run.path)
    names = [figure.name for figure in figures]
    assert names == ["excess.png", "learning_curves.png", "compression.png"]
    text = page.read_text()
    assert "smallest p that Holm" in text
    assert "no model can be below the bound but by chance" in text
    with (run.path / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model.hidden_size"] for row in rows] == ["8", "32"]
    assert float(rows[0]["difference_high"]) < 0
    of_infer, of_predict = ([excess(pair, 8, seed) for seed in range(6)] for pair in PAIRS)
    low, high = paired_difference(of_infer, of_predict).bootstrap
    assert float(rows[0]["bootstrap from"]) == pytest.approx(low)
    assert float(rows[0]["bootstrap to"]) == pytest.approx(high)


def test_sizes_are_told_without_an_error_where_all_seeds_have_the_same(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,))
    rows = section_of(run, "All numbers").tables[0].rows
    assert [{name: row[name] for name in SIZES} for row in rows] == [SIZES, SIZES]
    save(RunFolder(run.path), "easy_to_infer", 8, 6, {"num_parameters": 160})
    first = section_of(run, "All numbers").tables[0].rows[0]["num_parameters"]
    assert (first.n, first.mean) == (7, pytest.approx((6 * 100 + 160) / 7))


def test_a_cell_below_the_bound_beyond_chance_is_named(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,), seeds=2)
    save(RunFolder(run.path), "easy_to_infer", 8, 9, {"excess_bits": -0.029})
    text = section_of(run, "All numbers").text
    assert "Warning" not in text
    assert "lowest excess of 5 cells lies 2.9 of its own standard errors below 0" in text
    save(RunFolder(run.path), "easy_to_infer", 8, 7, {"excess_bits": -0.031})
    assert section_of(run, "All numbers").text.startswith(
        "Warning: 1 cell lies more than 3 standard errors below the bound: "
        "pair=easy_to_infer hidden_size=8 seed=7 (-3.1). "
    )
    assert "Warning: 1 cell lies" in write_report(run.path)[0].read_text()


def test_of_many_cells_below_the_bound_some_are_named(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,), seeds=3, excess_bits=-1.0)
    text = section_of(run, "All numbers").text
    assert text.startswith("Warning: 6 cells lie more than 3 standard errors below the bound: ")
    assert text.count("(-100.0)") == 4
    assert " and 2 more. " in text


def test_a_single_seed_has_no_bootstrap_interval(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,), seeds=1)
    (row,) = section_of(run, "Comparison").tables[0].rows
    assert row["bootstrap from"] is row["bootstrap to"] is row["95 % from"] is None


def test_both_kinds_keep_their_colours_along_an_axis_of_numbers(tmp_path: Path) -> None:
    groups = groups_of(fill(tmp_path, sizes=(8, 16, 32)).wanted_records())
    (axes,) = excess_figure(groups).axes
    lines = {bar.get_label(): bar.lines[0] for bar in axes.containers}
    assert [(name, line.get_color()) for name, line in lines.items()] == [
        ("easy-to-infer", COLORS[0]), ("easy-to-predict", COLORS[1])
    ]  # fmt: skip
    means = [np.mean([excess("easy_to_infer", size, s) for s in range(6)]) for size in (8, 16, 32)]
    assert lines["easy-to-infer"].get_xdata().tolist() == [8, 16, 32]
    assert lines["easy-to-infer"].get_ydata() == pytest.approx(means)


def test_panels_that_share_an_axis_show_all_that_is_in_any_of_them(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "latents", kind="train")
    for level, pair_set in enumerate(("entropy", "gzip"), start=1):
        for pair, size in product(PAIRS, (8, 16)):
            axes = {"pair_set": pair_set, "pair": pair, "model.hidden_size": size, "seed": 0}
            result = {"excess_bits": level + PAIRS.index(pair), "excess_bits_se": 0.01}
            folder.save_cell(Cell("train", axes, axes, "c0de"), result, 1.0)
    panels = excess_figure(groups_of(Run(folder.path).wanted_records())).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["entropy", "gzip"]
    assert {axes.get_ylim() for axes in panels} == {panels[0].get_ylim()}
    low, high = panels[0].get_ylim()
    assert low == 0
    assert high > 3


def test_settings_that_are_no_numbers_have_a_row_for_both_kinds(tmp_path: Path) -> None:
    groups = groups_of(fill(tmp_path, sizes=("gru", "lstm")).wanted_records())
    (axes,) = excess_figure(groups).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["gru", "lstm"]
    assert axes.get_ylabel() == "hidden_size"
    for pair, bar in zip(PAIRS, axes.containers, strict=True):
        assert bar.lines[0].get_ydata().tolist() == [0, 1]
        values = [np.mean([excess(pair, size, s) for s in range(6)]) for size in ("gru", "lstm")]
        assert bar.lines[0].get_xdata() == pytest.approx(values)


@pytest.mark.parametrize(("sizes", "drawn"), [((8,), 1), ((2, 4, 8, 16), 4), (range(2, 12), 6)])
def test_learning_curves_have_a_panel_per_setting_up_to_six(tmp_path, sizes, drawn) -> None:
    run = fill(tmp_path, sizes=tuple(sizes), seeds=2)
    (picture,) = section_of(run, "Learning curves").pictures
    panels = picture.draw().axes
    assert len(panels) == drawn
    assert all(len(axes.lines) == 2 for axes in panels)
    assert ("6 of 10 settings are drawn" in picture.caption) == (len(sizes) == 10)
    if drawn > 1:
        ends = f"hidden_size={sizes[0]}", f"hidden_size={sizes[-1]}"
        assert (panels[0].get_title(loc="left"), panels[-1].get_title(loc="left")) == ends


def test_the_name_of_an_axis_is_not_repeated_where_it_is_the_only_one(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=("gru", "lstm"), seeds=2, zlib_bits=4.0)
    panels = section_of(run, "Learning curves").pictures[0].draw().axes
    assert [axes.get_title(loc="left") for axes in panels] == ["gru", "lstm"]
    (bars,) = section_of(run, "Compression").pictures[0].draw().axes
    below = [tick.get_text() for tick in bars.get_xticklabels()]
    assert below == [
        f"easy-to-{kind}\n{m}" for kind in ("infer", "predict") for m in ("gru", "lstm")
    ]


def test_names_of_axes_are_told_where_several_vary(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=("gru", "lstm"), seeds=2)
    groups = groups_of(run.wanted_records())
    for i, group in enumerate(groups):
        group.axes["num_layers"] = i % 2
    assert list(settings_of(groups)) == [
        f"hidden_size={model} num_layers={i}" for i, model in enumerate(("gru", "lstm"))
    ]


def test_bars_are_named_as_in_the_answer(tmp_path: Path) -> None:
    run = fill(tmp_path, sizes=(8,), zlib_bits=4.0, ppmd_bits=3.0)
    (axes,) = section_of(run, "Compression").pictures[0].draw().axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["exact bound", "model", "zlib", "ppmd"]


def test_a_run_without_two_pairs_gets_the_report_of_any_grid(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "latents", kind="train")
    save(folder, "easy_to_infer", 8, 0, {})
    save(folder, "easy_to_infer", 16, 0, {})
    assert "runs from" in train.answer(Run(folder.path))
    assert write_report(folder.path)[0].exists()
