"""Two-hop studies by the real commands."""

import subprocess
import sys

import pytest

from lrray.config import dump_yaml
from lrray.results.run import Run
from lrray.twohop.samples import SampleTable
from tests.studies.small_study import environment, run
from tests.twohop.run_experiments import small

pytestmark = pytest.mark.slow


def only_run(out):
    (path,) = (out / "two_hops").iterdir()
    return Run(path)


def test_two_workers_give_what_one_gives_and_a_report(tmp_path):
    about = {"kind": "twohop", "question": "Does it join them?", "hypothesis": "Hardly."}
    study = tmp_path / "two_hops.yaml"
    study.write_text(dump_yaml({**about, **small(), "dataset": "parks", "grid": {"seed": [1]}}))
    for workers in (1, 2):
        words = ["resources.cpu=0.5", f"resources.workers={workers}", "--out", f"out{workers}"]
        ended = run(tmp_path, study, *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    one, two = (only_run(tmp_path / f"out{workers}") for workers in (1, 2))
    ((cell,), (same,)) = one.records(), two.records()
    assert cell.id == same.id
    assert [point["step"] for point in one.metrics(cell.id)] == [0, 1, 2, 3]
    for alone, shared in zip(one.metrics(cell.id), two.metrics(cell.id), strict=True):
        assert shared == pytest.approx(alone, rel=1e-4, abs=1e-5)
    texts = [SampleTable(run.path / f"samples/{cell.id}.jsonl").read() for run in (one, two)]
    assert {row["epoch"] for row in texts[0]} == {0, 1, 2, 3}
    assert len(texts[0]) == len(texts[1])
    (two.path / "report.html").unlink()
    report = [
        sys.executable,
        "-c",
        "from lrray.cli.app import main; main()",
        "report",
        str(two.path),
    ]
    ended = subprocess.run(report, env=environment(), capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    page = (two.path / "report.html").read_text()
    assert "Over 3 attributes and one seed, which gives no interval, the gap is" in page
