"""The report of two-hop cells, from a results folder written here."""

import pytest

from lrray.reports.report import write_report
from lrray.reports.run import Run
from lrray.reports.twohop import answer, sections
from lrray.reports.twohop_numbers import cells_of
from lrray.studies.folder import RunFolder
from lrray.studies.identity import Cell


def result(gaps, acc_a=1.0, second_hop=0.9, fixed_points=0):
    gap = sum(gaps) / len(gaps)
    per_attribute = {
        "gap_2hop{}": gap, "acc_2hop{}_nocot": 0.2, "acc_2hop{}_cot": 0.8,
        "acc_2hop{}_nocot_latent": 0.2, "acc_2hop{}_nocot_plain": 0.3,
        "acc_2hop{}_cot_first_hop": 0.9, "acc_2hop{}_cot_plain": 0.8,
        "chance_2hop{}": 0.1, "commonest_2hop{}": 0.15, "acc_second_hop{}": second_hop,
        "acc_second_hop_before{}": second_hop,
    }  # fmt: skip
    numbers = {k.format(a): v for k, v in per_attribute.items() for a in ("", "_state")}
    attributes = {"state": {"category": "region", "people": 4, "fixed_points": fixed_points}}
    return {
        "acc_a": acc_a, "gap_2hop_before": 0.0, **numbers, "gaps": {"state": gaps},
        "attributes": attributes,
    }  # fmt: skip


@pytest.fixture
def make_run(tmp_path):
    def make(*results):
        folder = RunFolder.create(tmp_path, "semi")
        folder.write_text("study.yaml", "kind: twohop\nquestion: Q?\nhypothesis: H.\n")
        for seed, found in enumerate(results):
            settings = {"dataset": "parks", "facts": None, "seed": seed}
            cell = Cell("twohop", settings, {"dataset": "parks", "seed": seed}, "0")
            folder.save_cell(cell, found, 1.0)
            for step, loss in ((0, 3.0), (20, 2.0)):
                point = {"step": step, "acc_a": found["acc_a"], "eval/2hop_nocot_loss": loss}
                folder.append_metrics(cell.id, point)
        return Run(folder.path)

    return make


def test_gap_is_a_mean_over_seeds_and_p_over_people(make_run):
    run = make_run(result([0.5, 0.7, 0.6, 0.4]), result([0.3, 0.5, 0.4, 0.2]))
    (finding,) = cells_of(run)[0].findings
    assert finding.gap.mean == pytest.approx(0.45)
    assert finding.gap.n == 2
    # All eight people point the same way: 2 of the 2 ** 8 assignments of signs are as extreme.
    assert finding.p_value == pytest.approx(2 / 2**8)


def test_doubtful_attributes_are_marked(make_run):
    run = make_run(result([0.5, 0.7]), result([0.5, 0.7], 0.95, 0.3, 2))
    (finding,) = cells_of(run)[0].findings
    assert finding.note == "acc_a < 1 in 1 of 2; 2 shuffled rows right and left out"
    doubtful = make_run(result([0.5, 0.7], second_hop=0.3))
    assert cells_of(doubtful)[0].findings[0].note == "second hop not known"


def test_a_cell_that_has_not_learnt_its_facts_is_told(make_run):
    text = sections(make_run(result([0.5, 0.7], acc_a=0.95)))[-1].text
    assert text.startswith("1 of 1 cells end with acc_a below 1")


def test_the_answer_is_one_sentence_with_numbers(make_run):
    run = make_run(result([0.5] * 6), result([0.4] * 6))
    assert answer(run) == (
        "Over 1 attributes the gap is 0.45 (n = 1) nats per token, and positive beyond chance for "
        "1 of them; right are 80% of answers after reasoning and 20% at once, where another "
        "person's answer is right in 10% and the commonest one in 15%."
    )


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
