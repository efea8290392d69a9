"""The report of two-hop cells, from a results folder written here."""

import csv
import json
import math

import numpy as np
import pytest

from lrray.reports.report import write_report
from lrray.reports.twohop.figures import gaps_figure
from lrray.reports.twohop.numbers import average_gap, cells_of
from lrray.reports.twohop.report import answer, sections
from lrray.results.folder import RunFolder
from lrray.results.run import Run
from lrray.studies.cell import Cell
from lrray.twohop.matrix import LossMatrix


def result(
    gaps,
    acc_a=1.0,
    known=(0.9, 0.9),
    fixed_points=0,
    chance=0.1,
    nocot=0.2,
    worked=0.7,
    losses=None,
):
    gap = sum(gaps) / len(gaps)
    per_attribute = {
        "gap_2hop{}": gap, "acc_2hop{}_nocot": nocot, "acc_2hop{}_cot": 0.8,
        "acc_2hop{}_nocot_latent": 0.2, "acc_2hop{}_nocot_plain": 0.3,
        "acc_2hop{}_cot_first_hop": 0.9, "acc_2hop{}_cot_plain": 0.8,
        "chance_2hop{}": chance, "commonest_2hop{}": 0.15,
        "acc_second_hop_before{}": known[0], "acc_second_hop{}": known[1],
        "gap_2hop_before{}": 0.01, "acc_context{}": 0.6, "acc_worked{}": worked,
        "instead_e2{}": 0.1, "instead_other_e2{}": 0.0,
        "gap_first{}": gap / 2, "gap_later{}": gap / 4, "gap_end{}": gap / 4,
    }  # fmt: skip
    numbers = {k.format(a): v for k, v in per_attribute.items() for a in ("", "_state")}
    attributes = {"state": {"category": "region", "people": 4, "fixed_points": fixed_points}}
    found = {"acc_a": acc_a, **numbers, "gaps": {"state": gaps}, "attributes": attributes}
    return found if losses is None else {**found, "losses": {"state": losses}}


@pytest.fixture
def make_run(tmp_path):
    def make(*results, study="", task="semi_synthetic", **more):
        """Results of parks, seed by seed, and of further datasets; None for one not there yet."""
        folder = RunFolder.create(tmp_path, "semi")
        folder.write_text("study.yaml", f"kind: twohop\nquestion: Q?\nhypothesis: H.\n{study}")
        for dataset, each in {"parks": results, **more}.items():
            for seed, found in enumerate(each):
                if found is not None:
                    save(folder, dataset, seed, task, found)
        return Run(folder.path)

    return make


def save(folder, dataset, seed, task, found, **settings):
    axes = {"dataset": dataset, "seed": seed}
    cell = Cell("twohop", {**axes, "facts": None, "task": task, **settings}, axes, "0")
    folder.save_cell(cell, found, 1.0)
    for step, loss in ((0, 3.0), (20, 2.0)):
        point = {"step": step, "acc_a": found["acc_a"], "eval/2hop_nocot_loss": loss}
        folder.append_metrics(cell.id, point)
    return cell


def test_gap_is_a_mean_over_seeds_and_p_over_people(make_run):
    run = make_run(result([0.5, 0.7, 0.6, 0.4]), result([0.3, 0.5, 0.4, 0.2]))
    (finding,) = cells_of(run)[0].findings
    assert finding.gap.mean == pytest.approx(0.45)
    assert finding.gap.n == 2
    # All eight people point the same way: 2 of the 2 ** 8 assignments of signs are as extreme.
    assert finding.p_value == pytest.approx(2 / 2**8)


def averaged(run):
    return average_gap([finding for cells in cells_of(run) for finding in cells.findings])


def test_the_averaged_gap_is_a_mean_over_seeds_with_interval_and_p(make_run):
    gap, p_value = averaged(make_run(result([0.5]), result([0.3]), ships=[result([0.7])] * 2))
    # Seeds average 0.6 and 0.5; Student's t is 12.706 for one degree of freedom.
    assert (gap.n, gap.mean, gap.standard_error) == pytest.approx((2, 0.55, 0.05))
    assert (gap.low, gap.high) == pytest.approx((0.55 - 12.706 * 0.05, 0.55 + 12.706 * 0.05), 1e-3)
    assert p_value == 0.5


def test_a_seed_that_a_dataset_lacks_is_left_out_of_the_average(make_run):
    gap, p_value = averaged(make_run(result([0.5]), result([9.0]), ships=[result([0.7])]))
    assert (gap.n, gap.mean, p_value) == (1, pytest.approx(0.6), None)


def test_datasets_with_a_seed_each_are_averaged_over_all_seeds(make_run):
    gap, _ = averaged(make_run(result([0.5]), ships=[None, result([0.7])]))
    assert (gap.n, gap.mean) == (2, pytest.approx(0.6))


def test_cells_of_other_settings_are_no_further_seeds(make_run):
    run = make_run(*[result([0.1])] * 3)
    folder = RunFolder(run.path)
    old = [save(folder, "parks", i, "semi_synthetic", result([9.0]), epochs=5) for i in range(3)]
    # A run that does not note what is outdated keeps them apart, one that does leaves them out.
    assert [each.findings[0].gap.n for each in cells_of(run)] == [3, 3]
    folder.note_outdated({record.id for record in run.records()} - {cell.id for cell in old})
    assert averaged(run)[0].mean == pytest.approx(0.1)


def note(run):
    return cells_of(run)[0].findings[0].note


def test_doubtful_attributes_are_marked(make_run):
    run = make_run(result([0.5, 0.7]), result([0.5, 0.7], 0.95, (0.3, 0.9), 2))
    assert note(run) == "acc_a < 1 in 1 of 2; 2 shuffled rows right and left out"


@pytest.mark.parametrize(
    ("known", "study", "task", "marked"),
    [
        ((0.3, 0.9), "", "semi_synthetic", True),  # never known, whatever training did to it
        ((0.9, 0.3), "", "semi_synthetic", True),  # forgotten
        ((0.9, 0.9), "", "semi_synthetic", False),
        ((0.3, 0.9), "known_threshold: 0.2\n", "semi_synthetic", False),
        ((0.9, 0.9), "known_threshold: 0.95\n", "semi_synthetic", True),
        ((0.0, 0.9), "", "fully_synthetic", False),  # invented: nobody can know it before
        ((0.0, 0.3), "", "fully_synthetic", True),
    ],
)
def test_a_second_hop_that_is_not_known_is_marked(make_run, known, study, task, marked):
    before, after = (f"{accuracy:.0%}" for accuracy in known)
    wanted = f"second hop not known: right in {before} before training, {after} at the end"
    run = make_run(result([0.5, 0.7], known=known), study=study, task=task)
    assert note(run) == (wanted if marked else "")


def test_a_cell_that_has_not_learnt_its_facts_is_told(make_run):
    text = sections(make_run(result([0.5, 0.7], acc_a=0.95)))[-1].text
    assert text.startswith("1 of 1 cells end with acc_a below 1")


def test_the_answer_is_one_sentence_with_numbers(make_run):
    run = make_run(result([0.5] * 6), result([0.4] * 6, chance=0.2))
    assert answer(run) == (
        "Over 1 attributes and 2 seeds the gap is 0.450 ± 0.050 nats per token (95 %: -0.19 to "
        "1.09, sign-flip p over seeds 0.5), and positive beyond chance for 1 of the attributes; "
        "right are 80 ± 0 % of answers after reasoning and 20 ± 0 % at once, where another "
        "person's answer is right in 15.0 ± 5.0 % and the commonest one in 15 ± 0 %. "
        "Controls: of these 1 attributes 1 pass; the second hop alone is "
        "right in 90 % before training and 90 % at the end; with both hops in context 60 % are "
        "right, after worked examples 70 %; no other pairing was trained to compare the gap with, "
        "before training it is 0.01."
    )


def test_the_answer_of_one_seed_claims_no_interval(make_run):
    assert answer(make_run(result([0.5] * 6))) == (
        "Over 1 attributes and one seed, which gives no interval, the gap is 0.5 nats per token, "
        "and positive beyond chance for 1 of the attributes; right are 80 % of answers after "
        "reasoning and 20 % at once, where another person's answer is right in 10 % and the "
        "commonest one in 15 %. Controls: of these 1 attributes 1 pass; the second hop alone is "
        "right in 90 % before training and 90 % at the end; with both hops in context 60 % are "
        "right, after worked examples 70 %; no other pairing was trained to compare the gap with, "
        "before training it is 0.01."
    )


def test_a_forgotten_second_hop_is_told_in_the_answer(make_run):
    text = answer(make_run(result([0.5] * 6, known=(0.9, 0.3))))
    assert "of these 1 attributes 0 pass" in text
    assert text.endswith(
        "Training made the model forget the second hop of 1 of 1 attributes, whose gaps are no "
        "evidence of joined hops."
    )


def test_a_model_that_joins_nothing_anywhere_cannot_show_composition(make_run):
    found = result([0.5] * 6, worked=0.1)
    found = {k: 0.1 if "context" in k or k.endswith("_cot") else v for k, v in found.items()}
    text = answer(make_run(found))
    assert "of these 1 attributes 0 pass" in text
    assert "fails the positive control everywhere: this model cannot show composition." in text


@pytest.mark.parametrize(("nocot", "passes"), [(0.16, "yes"), (0.15, "no")])
def test_a_gap_without_answers_beyond_chance_does_not_pass(make_run, nocot, passes):
    run = make_run(result([0.5] * 6, nocot=nocot))
    assert table(run, "controls").rows[0]["passes"] == passes


def test_cells_without_controls_make_no_claim(make_run):
    found = {k: v for k, v in result([0.5] * 6).items() if "worked" not in k}
    run = make_run(found)
    assert "Its controls were not measured, so this is no evidence of joined hops" in answer(run)
    texts = {section.title: section.text for section in sections(run)}
    assert texts["Controls"] == "None were measured: these cells are of an earlier version."


def table(run, name):
    (found,) = (t for section in sections(run) for t in section.tables if t.name == name)
    return found


PEOPLE, STATES = [f"P{i}" for i in range(6)], ["Utah", "Maine", "Ohio", "Texas", "Iowa", "Idaho"]


def losses(shift, gap, lean=0.0):
    """Person i has answer i + shift; ``lean`` ties names to answers whatever is trained."""
    own = np.roll(np.arange(6), -shift)
    nats = 3 + np.arange(6)[:, None] + np.arange(6.0) ** 2
    nats[np.arange(6), own] -= gap
    nats[np.arange(6), np.arange(6)] -= lean
    right = own[:, None] == np.arange(6)
    matrix = LossMatrix(tuple(PEOPLE), tuple(STATES), own, right, np.arange(6) < 2, nats)
    return matrix.person_gaps().tolist(), matrix.to_plain()


def test_p_permutes_the_answers_where_all_losses_are_kept(make_run):
    gaps, plain = losses(0, 0.5)
    run = make_run(result(gaps, losses=plain))
    (finding,) = cells_of(run)[0].findings
    assert finding.gap.mean == pytest.approx(0.5)
    assert finding.p_value == pytest.approx(2 / math.factorial(6), abs=0.002)


def test_the_gap_is_reported_against_models_of_another_pairing(make_run):
    cells = [result(gaps, losses=plain) for gaps, plain in (losses(0, 0.5), losses(1, 0.5))]
    row = table(make_run(*cells), "controls").rows[0]
    assert row["placebo"].mean == pytest.approx(0, abs=1e-6)
    assert row["gap less placebo"].mean == pytest.approx(0.5, abs=1e-6)
    assert row["passes"] == "yes"
    assert "for other pairings the gap is 0.00" in answer(make_run(*cells)).replace("-0", "0")


def test_a_gap_that_other_pairings_show_too_does_not_pass(make_run):
    trained = [losses(0, 0.1, lean=0.9), losses(1, 0.1, lean=0.9)]
    row = table(make_run(*(result(g, losses=p) for g, p in trained)), "controls").rows[0]
    # The first pairing has what names lean to anyway.
    assert row["placebo"].mean == pytest.approx(0.5 * 0.9, abs=0.15)
    assert row["passes"] == "no"


def test_the_parts_of_the_gap_are_told_apart(make_run):
    gaps, plain = losses(0, 0.6)
    gaps = [2.0, 2.0, 0.5, 0.5, 0.5, 0.5]
    row = table(make_run(result(gaps, losses=plain)), "gap_parts").rows[0]
    assert row["first token"].mean == pytest.approx(row["gap"].mean / 2)
    assert (row["in name"].mean, row["in name"].n) == (2.0, 2)
    assert (row["not in name"].mean, row["not in name"].n) == (0.5, 4)


def test_no_cell_makes_no_claim(make_run):
    assert answer(make_run()) == "No cell has finished yet."
    assert sections(make_run())[0].text == "No cell has finished yet."


def test_the_page_comes_with_tables_and_figures(make_run):
    run = make_run(result([0.5, 0.7]), result([0.3, 0.5]))
    page, *figures = write_report(run.path)
    assert {figure.name for figure in figures} == {"gaps.png", "curves.png"}
    assert "at once" in page.read_text()
    for name in ("gap_by_attribute", "gap_by_category", "datasets"):
        assert (run.path / f"{name}.csv").read_text().count("\n") >= 2
        assert (run.path / f"{name}.tex").exists()


def test_measured_numbers_of_the_tables_come_with_their_errors_and_n(make_run):
    run = make_run(result([0.5, 0.7]), result([0.3, 0.5], chance=0.2))
    write_report(run.path)
    rows = {}
    for name in ("gap_by_attribute", "gap_by_category"):
        with (run.path / f"{name}.csv").open() as file:
            rows[name] = list(csv.DictReader(file))[-1]
        assert float(rows[name]["chance_se"]) == pytest.approx(0.05)
    for column in ("gap", "at once", "commonest", "second hop before", "second hop"):
        assert rows["gap_by_attribute"][f"{column}_n"] == "2"
    assert rows["gap_by_category"]["p (seeds)"] == "0.5"
    assert rows["gap_by_category"]["95 %"] == "-0.77 to 1.77"


def test_the_first_texts_of_the_end_are_shown(make_run):
    run = make_run(result([0.5, 0.7]))
    (record,) = run.records()
    assert "Texts" not in [section.title for section in sections(run)]
    row = {"question": "Which?", "answer": "Utah", "text": "It is\nZion. <b>", "strict": False}
    rows = [
        {**row, "split": split, "epoch": epoch, "person": str(i)}
        for epoch in (0, 20)
        for split in ("cot", "nocot")
        for i in range(3)
    ]
    rows[-3]["strict"] = True
    table = run.path / "samples" / f"{record.id}.jsonl"
    table.parent.mkdir()
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = sections(run)[-1].tables[0].rows
    assert [row["asked for"] for row in shown] == ["both, at once"] * 2 + ["both, reasoning"] * 2
    assert [row["right"] for row in shown] == [True, False, False, False]
    assert shown[0]["text"] == "It is Zion. <b>"
    page, *_ = write_report(run.path)
    assert "It is Zion. &lt;b&gt;" in page.read_text()


@pytest.mark.parametrize("harm", ["cut", "link", "other"])
def test_texts_that_are_damaged_or_lie_outside_are_not_shown(make_run, tmp_path, harm):
    run = make_run(result([0.5, 0.7]))
    (record,) = run.records()
    outside = tmp_path / "outside.jsonl"
    text = {"cut": '{"epoch": 0, "split": ', "link": '{"epoch": 0, "split": "cot"}', "other": "[0]"}
    outside.write_text(text[harm])
    table = run.path / "samples" / f"{record.id}.jsonl"
    table.parent.mkdir()
    if harm == "link":
        table.symlink_to(outside)
    else:
        outside.rename(table)
    assert "Texts" not in [section.title for section in sections(run)]


def test_settings_are_told_apart_in_answer_and_picture(tmp_path):
    folder = RunFolder.create(tmp_path, "tasks")
    folder.write_text("study.yaml", "kind: twohop\nquestion: Q?\nhypothesis: H.\n")
    for task, gap in (("apart", 0.0), ("together", 1.0)):
        for seed in range(2):
            axes = {"task": task, "seed": seed}
            settings = {"dataset": "parks", "facts": None, **axes}
            found = result([gap + seed / 10])
            folder.save_cell(Cell("twohop", settings, axes, "0"), found, 1.0)
    run = Run(folder.path)
    told = "The gap by setting: task=apart 0.050 ± 0.050, task=together 1.050 ± 0.050."
    assert answer(run).endswith(told)
    (axes,) = gaps_figure([finding for cells in cells_of(run) for finding in cells.findings]).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "region: parks state task=apart", "region: parks state task=together"
    ]  # fmt: skip


def test_of_a_search_the_best_trial_is_told(tmp_path):
    folder = RunFolder.create(tmp_path, "rates")
    folder.write_text(
        "study.yaml",
        "kind: twohop\nquestion: Q?\nhypothesis: H.\n"
        "search_space: {finetune.learning_rate: {distribution: log_uniform, low: 0.1, high: 10}}\n"
        "search: {sampler: tpe, num_trials: 2, metric: gap_2hop, mode: max, seeds: 2}\n",
    )
    for rate, gap in ((0.3, 0.25), (1.0, 0.75)):
        axes = {"finetune.learning_rate": rate}
        cell = Cell(
            "twohop", {"dataset": "parks", "facts": None, "seed": [0, 1], **axes}, axes, "0"
        )
        found = {"gap_2hop": gap, "gap_2hop_se": 0.1, "num_seeds": 2}
        folder.save_cell(cell, {**found, "per_seed": {"gap_2hop": [gap - 0.1, gap + 0.1]}}, 1.0)
    page, *_ = write_report(folder.path)
    assert "0.75" in answer(Run(folder.path))
    assert "learning_rate" in page.read_text()
