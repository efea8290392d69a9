"""A setting that takes the best value of an earlier run, each condition its own."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lrray.config import dump_yaml, load_yaml
from lrray.errors import LrrayError
from lrray.results.folder import RunFolder
from lrray.results.run import Run
from lrray.runs.plan import show_plan
from lrray.studies.cell import make_cell
from lrray.studies.load import LoadedStudy, check_study, load_study
from tests.studies.driven import BASE, run_grid

RATES = [0.1, 0.2, 0.4]
LOSSES = {"soft": {0.1: 3.0, 0.2: 1.0, 0.4: 2.0}, "hard": {0.1: 2.0, 0.2: 2.5, 0.4: 1.5}}
SEARCHED: dict[str, Any] = {
    **BASE,
    "grid": {"settings.end": ["soft", "hard"], "settings.rate": RATES, "seed": [0, 1]},
}
ASKS: dict[str, Any] = {
    **BASE,
    "settings": {"rate": {"best_of": "results/rates", "by": ["end"], "metric": "loss"}},
    "grid": {"settings.end": ["soft", "hard"], "seed": [5, 6]},
}


@pytest.fixture
def rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """An ended run over rates; the best of one seed alone is another one for the soft end."""
    monkeypatch.chdir(tmp_path)
    return ended_run()


def ended_run(fails: tuple[str, float] | None = None, **changes: Any) -> RunFolder:
    folder = RunFolder.create(Path("results"), "rates")
    study = check_study({**SEARCHED, **changes}, Path("rates.yaml"))
    folder.write_text("study.yaml", dump_yaml(study.resolved()))
    for point in study.points:
        cell = make_cell(point.study, point.axes)
        end, rate = point.axes["settings.end"], point.axes["settings.rate"]
        noise = (0.9 if rate == 0.1 else 0.0) * (2 * point.axes["seed"] - 1)
        if fails == (end, rate) and point.axes["seed"] == 1:
            folder.save_failure(cell, "ValueError: no", "…", 1.0)
        else:
            folder.save_cell(cell, {"loss": LOSSES[end][rate] + noise, "gain": rate}, 1.0)
    folder.write_json("summary.json", {"failed": 0})
    return folder


def asking(**reference: Any) -> LoadedStudy:
    asked = {**ASKS["settings"]["rate"], **reference}
    return check_study({**ASKS, "settings": {"rate": asked}}, Path("asks.yaml"))


def rates_of(study: LoadedStudy) -> dict[str, float]:
    return {
        point.axes["settings.end"]: point.study.settings["rate"] for point in study.points
    }  # fmt: skip


def test_every_condition_has_the_value_with_its_own_best_mean_over_seeds(rates: RunFolder) -> None:
    assert rates_of(asking()) == {"soft": 0.2, "hard": 0.4}
    assert rates_of(asking(mode="max")) == {"soft": 0.1, "hard": 0.2}
    assert rates_of(asking(metric="gain", mode="max")) == {"soft": 0.4, "hard": 0.4}
    assert rates_of(asking(by=[])) == {"soft": 0.2, "hard": 0.2}  # the best of all cells
    assert rates_of(asking(best_of=rates.path.name)) == {"soft": 0.2, "hard": 0.4}


def test_cells_are_those_of_a_study_that_writes_the_values_itself(rates: RunFolder) -> None:
    def ids(study: LoadedStudy) -> list[str]:
        return [make_cell(point.study, point.axes).id for point in study.points]

    plain = check_study(
        {**BASE, "grid": {"zip": [{"settings.end": ["soft", "hard"], "settings.rate": [0.2, 0.4]}],
                          "seed": [5, 6]}}, Path("asks.yaml"),
    )  # fmt: skip
    assert sorted(ids(asking())) == sorted(ids(plain))


def test_a_value_of_which_a_cell_failed_is_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended_run(fails=("soft", 0.2))
    assert rates_of(asking()) == {"soft": 0.4, "hard": 0.4}


def test_two_settings_get_the_best_combination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(Path("results"), "rates")
    grid = {"settings.rate": [1, 2], "settings.decay": [1, 2]}
    study = check_study({**BASE, "grid": grid}, Path("rates.yaml"))
    folder.write_text("study.yaml", dump_yaml(study.resolved()))
    losses = {(1, 1): 3.0, (1, 2): 1.0, (2, 1): 1.5, (2, 2): 1.4}
    for point in study.points:
        loss = losses[point.axes["settings.rate"], point.axes["settings.decay"]]
        folder.save_cell(make_cell(point.study, point.axes), {"loss": loss}, 1.0)
    folder.write_json("summary.json", {"failed": 0})
    reference = {"best_of": "results/rates", "metric": "loss"}
    both = {"rate": reference, "decay": reference}
    (point,) = check_study({**BASE, "settings": both}, Path("asks.yaml")).points
    assert point.study.settings == {"rate": 1, "decay": 2}


def test_a_search_is_judged_by_its_own_metric_and_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(Path("results"), "rates")
    space = {"settings.rate": {"distribution": "choice", "values": RATES}}
    searched = {
        "search_space": space, "grid": {"settings.end": ["soft", "hard"]},
        "search": {"sampler": "grid", "num_trials": 3, "metric": "loss", "mode": "max"},
    }  # fmt: skip
    study = check_study({**BASE, **searched}, Path("rates.yaml"))
    folder.write_text("study.yaml", dump_yaml(study.resolved()))
    assert run_grid(folder, **searched) is not None
    found = check_study(
        {**ASKS, "settings": {"rate": {"best_of": "results/rates", "by": ["settings.end"]}}},
        Path("asks.yaml"),
    )  # fmt: skip
    assert rates_of(found) == {"soft": 0.4, "hard": 0.4}  # the loss of these cells is their rate
    assert found.tuned[0].asked.mode == "max"


def test_the_plan_and_the_runs_settings_say_where_values_come_from(rates: RunFolder) -> None:
    study = asking()
    said = StringIO()
    show_plan(study, None, Console(file=said, width=200))
    place = f"results/rates/{rates.path.name}"
    line = f"0.4 (end=hard), 0.2 (end=soft): smallest loss of {place}"
    assert line in said.getvalue()

    kept = study.resolved()["settings"]["rate"]
    assert kept["best_of"] == place
    assert kept["found"] == [
        {"settings.end": "hard", "value": 0.4, "loss": 1.5, "cells": 2},
        {"settings.end": "soft", "value": 0.2, "loss": 1.0, "cells": 2},
    ]
    folder = RunFolder.create(Path("results"), "asks")
    folder.write_text("study.yaml", dump_yaml(study.resolved()))
    assert Run(folder.path).tuned == ["settings.rate"]
    again = load_study(str(folder.path / "study.yaml"))  # what was found is no setting
    assert rates_of(again) == rates_of(study)


def test_an_axis_of_the_grid_takes_the_place_of_a_reference(rates: RunFolder) -> None:
    data = {**ASKS, "grid": {**ASKS["grid"], "settings.rate": [7]}}
    assert set(rates_of(check_study(data, Path("asks.yaml"))).values()) == {7}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"best_of": "results/other"}, "rate.best_of: names no run, but got 'results/other'"),
        ({"by": ["size"]}, "rate.by: must name axes of rates/"),
        ({"by": ["seed"]}, "by: must not name the seed"),
        ({"metric": "los"}, "rate.metric: must be a number that cells of rates/"),
        ({"metric": None}, "rate.metric: must be given: rates/"),
        ({"mode": "least"}, "mode: must be 'min' or 'max'"),
        ({"best_of": 3}, "best_of: must be text"),
    ],
)
def test_a_reference_that_finds_nothing_is_one_line(
    rates: RunFolder, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(LrrayError) as caught:
        asking(**changed)
    assert message in str(caught.value)
    assert str(caught.value).startswith("asks.yaml: settings.rate")
    assert "\n" not in str(caught.value)


def test_a_run_that_has_not_ended_is_refused(rates: RunFolder) -> None:
    rates.remove("summary.json")
    with pytest.raises(LrrayError, match=r"must be a run that has ended, but rates/\S+ is stopped"):
        asking()


def test_a_condition_or_a_setting_that_is_missing_is_told(rates: RunFolder) -> None:
    with pytest.raises(LrrayError, match=r"has no finished cells with end=other .*end=hard; end="):
        check_study({**ASKS, "grid": {"settings.end": ["other"]}}, Path("asks.yaml"))
    with pytest.raises(
        LrrayError, match=r"must name settings that this study gives, but got 'sett"
    ):
        check_study({**ASKS, "grid": {"seed": [1]}}, Path("asks.yaml"))
    settings = {"decay": ASKS["settings"]["rate"]}
    with pytest.raises(LrrayError, match=r"decay\.best_of: must name an axis of rates/"):
        check_study({**ASKS, "settings": settings}, Path("asks.yaml"))


def test_a_mapping_of_ones_own_with_other_keys_is_no_reference(rates: RunFolder) -> None:
    own = {"best_of": "x", "and": 1}
    (point,) = check_study({**BASE, "settings": {"rate": own}}, Path("asks.yaml")).points
    assert point.study.settings["rate"] == own


def test_the_runs_own_study_file_holds_plain_values_where_nothing_is_tuned(
    rates: RunFolder,
) -> None:
    assert load_yaml(rates.path / "study.yaml")["grid"] == SEARCHED["grid"]
    assert Run(rates.path).tuned == []
