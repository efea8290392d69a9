"""Study files and results folders of others are data: nothing in them runs or leads elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lrray.config import dump_yaml
from lrray.errors import LrrayError
from lrray.reports.report import write_report
from lrray.results.folder import RunFolder
from lrray.results.run import Run
from lrray.studies.cell import digest
from lrray.studies.load import find_study
from tests.reports.runs import STUDY, cell_of, fill, finish, new_run
from tests.studies.small_study import STUDY as SMALL
from tests.studies.small_study import environment

SECRET = "what stands outside"
TAGS = {
    "call": "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [ran]]",
    "system": "!!python/object/apply:os.system ['touch ran']",
    "new": "!!python/object/new:os.system ['touch ran']",
    "module": "!!python/module:antigravity",
}


def lrray(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it in ``folder``."""
    command = [sys.executable, "-c", "from lrray.cli.app import main; main()", *words]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
def test_a_python_tag_in_a_study_is_refused_in_one_line_and_nothing_runs(tmp_path, tag):
    (tmp_path / "evil.yaml").write_text(dump_yaml(SMALL) + f"more: {tag}\n")
    done = lrray(tmp_path, "study", "evil.yaml", "--plan")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "evil.yaml" in done.stderr
    assert "could not determine a constructor for the tag" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["evil.yaml"]


@pytest.mark.parametrize(
    "words",
    [
        ("study", "small.yaml", f"seeds={TAGS['system']}"),
        ("study", "small.yaml", "search_space=evil.yaml"),
        ("sweep", "import", "evil.yaml"),
        ("twohop", "build", "--facts", "evil.yaml", "--out", "data"),
    ],
    ids=["override", "named file", "sweep", "facts"],
)
def test_every_other_way_in_refuses_the_tag_too(tmp_path, words):
    (tmp_path / "small.yaml").write_text(dump_yaml(SMALL))
    (tmp_path / "evil.yaml").write_text(f"a: {TAGS['system']}\n")
    done = lrray(tmp_path, *words)
    assert done.returncode == 2
    assert "could not determine a constructor" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.yaml", "small.yaml"]


def test_reading_results_of_a_function_never_loads_the_function(tmp_path):
    """A folder names a module that lies beside it: reports must not import it."""
    (tmp_path / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    folders = [new_run(tmp_path / "results", name, function="evil:train") for name in "ab"]
    for folder in folders:
        finish(folder, len(fill(folder, sizes=(4,))))
    for words in (("report",), ("compare", *(str(folder.path) for folder in folders))):
        done = lrray(tmp_path, *words)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["...yaml", "..yaml", "sub/...yaml", ".hidden.yaml"])
def test_no_study_name_leads_out_of_the_results_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text(dump_yaml(SMALL))
    with pytest.raises(LrrayError, match="must not begin with a dot"):
        find_study(name)


def plant(folder: RunFolder, name: str, record: dict[str, object]) -> None:
    """Writes a cell as somebody could who knows how checksums are made."""
    (folder.path / "cells" / name).write_text(json.dumps({**record, "checksum": digest(record)}))


def test_names_inside_a_cell_lead_no_report_out_of_the_folder(tmp_path):
    folder = new_run(tmp_path / "results")
    for seed in range(3):
        folder.save_cell(cell_of("gru", 4, seed), {"../../../up": seed, "/tmp/x/y": 1.0}, 1.0)
        folder.save_cell(cell_of("gru", 8, seed), {"../../../up": 2.0, "/tmp/x/y": 1.0}, 1.0)
        folder.append_metrics(cell_of("gru", 4, seed).id, {"step": 1, "../../../up": 1.0})
    one = folder.load_cell(cell_of("gru", 4, 0).id)
    assert one is not None
    plant(folder, "other.json", {**one.to_dict(), "id": "../../../../secret"})
    before = {path for path in tmp_path.rglob("*") if folder.path not in path.parents}
    pages = write_report(folder.path)
    assert {path.parent for path in pages} == {folder.path}
    assert before == {path for path in tmp_path.rglob("*") if folder.path not in path.parents}


def test_links_out_of_the_folder_are_neither_read_nor_written_through(tmp_path):
    folder = new_run(tmp_path / "results")
    cells = fill(folder)
    finish(folder, len(cells))
    outside = tmp_path / "outside"
    outside.mkdir()
    shown = {"question": SECRET, "kind": "function", "hypothesis": SECRET, "host": SECRET}
    for name in ("study.yaml", "provenance.json", "summary.json"):
        (folder.path / name).unlink()
        (outside / name).write_text(json.dumps({**shown, "command": [SECRET]}))
        (folder.path / name).symlink_to(outside / name)
    victim = outside / "victim"
    victim.write_text(SECRET)
    for name in ("report.html", "means.csv", "means_loss.png", "means_loss.pdf"):
        (folder.path / name).symlink_to(victim)
    record = folder.load_cell(cells[0].id)
    assert record is not None
    theirs = {**record.to_dict(), "id": "theirs", "result": {"loss": 1e9}}
    (outside / "theirs.json").write_text(json.dumps({**theirs, "checksum": digest(theirs)}))
    (folder.path / "cells" / "theirs.json").symlink_to(outside / "theirs.json")

    run = Run(folder.path)
    assert (run.question, run.provenance, run.summary) == (folder.name, {}, {})
    assert "theirs" not in {record.id for record in run.records()}
    page, *figures = write_report(folder.path)
    assert SECRET not in page.read_text()
    assert victim.read_text() == SECRET
    assert not any(path.is_symlink() for path in (page, *figures))


def test_curves_are_read_from_the_folder_alone(tmp_path):
    folder = new_run(tmp_path / "results")
    (tmp_path / "outside.jsonl").write_text('{"step": 1, "loss": 7.0}\n')
    (folder.path / "metrics").mkdir()
    (folder.path / "metrics" / "linked.jsonl").symlink_to(tmp_path / "outside.jsonl")
    run = Run(folder.path)
    assert run.metrics("linked") == []
    assert run.metrics("../../../../outside") == []
    folder.append_metrics("own", {"step": 1, "loss": 1.0})
    assert run.metrics("own") == [{"step": 1, "loss": 1.0}]


def test_what_a_study_says_is_text_in_a_report_never_markup(tmp_path):
    script = "<script>alert(1)</script>"
    folder = new_run(tmp_path / "results", question=script, hypothesis=script)
    cells = fill(folder)
    folder.save_failure(cell_of("mamba", 99, 0), script, script, 1.0)
    finish(folder, len(cells) + 1)
    page = write_report(folder.path)[0].read_text()
    assert script not in page
    assert "&lt;script&gt;alert(1)" in page
    assert STUDY["hypothesis"] not in page
