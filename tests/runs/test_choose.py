"""The folder that a study runs in."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lrray.config import dump_yaml
from lrray.errors import LrrayError
from lrray.results.find import latest_run
from lrray.runs.choose import chosen_folder
from lrray.storage.objects import open_store
from lrray.studies.load import LoadedStudy, load_study
from tests.studies.driven import BASE


def load(tmp_path: Path, name: str = "s", **changes: object) -> LoadedStudy:
    path = tmp_path / f"{name}.yaml"
    path.write_text(dump_yaml({**BASE, **changes}))
    return load_study(str(path))


@pytest.fixture
def study(tmp_path: Path) -> LoadedStudy:
    return load(tmp_path)


def work(study: LoadedStudy, out: Path, resume: bool | str = False, cells: int = 1) -> Path:
    """Runs a study as far as some cells; what it raises is the caller's."""
    with chosen_folder(study, out, resume, None) as (folder, _):
        folder.write_text("study.yaml", dump_yaml(study.resolved()))
        for i in range(cells):
            folder.write_text(f"cells/{i}.json", "{}")
        return folder.path


def test_a_run_goes_on_where_it_is_asked_to(study: LoadedStudy, tmp_path: Path) -> None:
    first, second = work(study, tmp_path), work(study, tmp_path)
    assert first != second
    assert work(study, tmp_path, resume=True) == second
    assert work(study, tmp_path, resume=first.name) == first
    assert work(study, tmp_path, resume=str(first)) == first


def test_nothing_to_resume_begins_anew_unless_a_run_is_named(
    study: LoadedStudy, tmp_path: Path
) -> None:
    assert work(study, tmp_path, resume=True).parent == tmp_path / "s"
    with pytest.raises(LrrayError, match="names no run"):
        work(study, tmp_path, resume="20990101")


def test_a_new_run_stopped_before_its_first_cell_leaves_nothing(
    study: LoadedStudy, tmp_path: Path
) -> None:
    kept = work(study, tmp_path)
    with suppress(KeyboardInterrupt), chosen_folder(study, tmp_path, False, None) as (new, _):
        assert (new.path / "study.yaml").exists()
        raise KeyboardInterrupt
    assert not new.path.exists()
    assert work(study, tmp_path, resume=True) == kept


def test_a_new_run_in_a_storage_stays_since_its_checkpoints_may_lie_there(
    study: LoadedStudy, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "storage"))
    with suppress(KeyboardInterrupt), chosen_folder(study, tmp_path, False, store) as (new, _):
        raise KeyboardInterrupt
    assert (new.path / "study.yaml").exists()


def test_a_resumed_run_is_never_removed(study: LoadedStudy, tmp_path: Path) -> None:
    kept = work(study, tmp_path)
    (kept / "cells/0.json").unlink()
    (kept / "checkpoints").mkdir()
    with pytest.raises(KeyboardInterrupt), chosen_folder(study, tmp_path, kept.name, None):
        raise KeyboardInterrupt
    assert kept.exists()


def test_a_run_of_another_study_of_that_name_is_not_continued(
    study: LoadedStudy, tmp_path: Path
) -> None:
    run = work(study, tmp_path)
    other = load(tmp_path, function="tests.studies.seeded_cells:remembers", settings={"rate": 1})
    with pytest.raises(LrrayError) as error:
        work(other, tmp_path, resume=True)
    assert str(error.value).startswith(
        f"{tmp_path}/s.yaml: function: the run {run} is of another study: "
        "tests.studies.grid_cells:any_settings, but got 'tests.studies.seeded_cells:remembers'"
    )


def test_of_drivers_that_resume_at_once_one_makes_the_run(
    study: LoadedStudy, tmp_path: Path
) -> None:
    began = threading.Barrier(5)
    outcomes: list[str] = []

    def drive() -> None:
        began.wait()
        try:
            with chosen_folder(study, tmp_path, True, None) as (folder, _):
                folder.write_text("study.yaml", dump_yaml(study.resolved()))
                time.sleep(2)  # the others find it taken
                folder.write_text("cells/0.json", "{}")
        except LrrayError as error:
            outcomes.append(error.rule)
        else:
            outcomes.append("ran")

    drivers = [threading.Thread(target=drive) for _ in range(5)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert outcomes.count("ran") == 1
    assert sum(rule.startswith("another driver works here") for rule in outcomes) == 4
    assert latest_run(tmp_path, "s") is not None
    assert len(list((tmp_path / "s").iterdir())) == 1
