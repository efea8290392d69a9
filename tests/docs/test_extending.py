"""The page about one's own code: its studies are run, its lines counted."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lrray.config import dump_yaml
from lrray.results.folder import RunFolder
from tests.docs.blocks import ROOT, blocks
from tests.studies.small_study import STUDY, run

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
FILES = {block.marks["file"]: block.text for block in blocks(PAGE) if "file" in block.marks}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with all files of the page."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def cells(folder: Path, study: str, *overrides: str) -> pd.DataFrame:
    """The table of a study that is run to its end, in a new run."""
    ended = run(folder, study, *overrides)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    newest = max((folder / "results" / Path(study).stem).glob("*/cells.csv"))
    return pd.read_csv(newest)


def code_lines(text: str) -> int:
    """Lines that are neither empty nor a docstring's nor a comment."""
    docstrings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(text.splitlines(), start=1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in docstrings
        for number, line in lines
    )


@pytest.mark.parametrize(
    ("reference", "file"),
    [
        ("gru_lm:GRULM", "gru_lm.py"),
        ("adaptive:order_1", "adaptive.py"),
        ("near_the_best:NearTheBest", "near_the_best.py"),
        ("kind: exact_entropy", "exact_entropy.py"),
        ('report="exact_entropy_report', "exact_entropy_report.py"),
    ],
)
def test_the_page_counts_the_lines_of_its_examples(reference: str, file: str) -> None:
    [counted] = re.findall(rf"\| (\d+) \| `.*{reference}\S*` \|", PAGE)
    assert int(counted) == code_lines(FILES[file])


@pytest.mark.slow
def test_a_recurrent_model_from_outside_is_trained_beside_a_shipped_one(folder: Path) -> None:
    table = cells(folder, "gru.yaml")
    assert list(table["state"]) == ["done"] * 8
    own = table[table["model.type"] == "gru_lm:GRULM"]
    assert len(own) == 4
    assert set(own["num_parameters"]) == {32 * 16 + 2 * 3 * (16 * 16 + 16) + 32 * 16 + 32}
    assert (own["loss_bits"] - own["bound_bits"]).between(0, 2.5).all()

    model = folder / "gru_lm.py"
    model.write_text(model.read_text().replace("self.head(states)", "self.head(2 * states)"))
    planned = run(folder, "gru.yaml", "--plan").stdout
    assert re.search(r"done already +4\b", planned), planned


@pytest.mark.slow
def test_a_compressor_from_outside_is_measured_beside_the_bound(folder: Path) -> None:
    table = cells(folder, "against_order_1.yaml")
    assert list(table["state"]) == ["done"] * 2
    assert (table["order_1_bits"] > table["bound_bits"]).all()
    assert (table["order_1_bits"] < table["zlib_bits"]).all()


@pytest.mark.slow
def test_a_sampler_from_outside_searches_settings_of_a_model_from_outside(folder: Path) -> None:
    table = cells(folder, "gru_rate.yaml")
    assert list(table["state"]) == ["done"] * 8
    rates = table["train.learning_rate"]
    assert rates.between(0.001, 0.1).all()
    assert rates.nunique() == 8


OWN = {"sampler": "near_the_best:NearTheBest", "num_trials": 10}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "parameters"),
    [
        ({**STUDY, "search": OWN}, ["alpha_X", "alpha_Z"]),
        (
            {
                "kind": "function", "question": "q", "hypothesis": "h", "function": "cost:of",
                "search_space": {
                    "settings.x": {"distribution": "log_uniform", "low": 0.1, "high": 10.0}
                },
                "search": {**OWN, "metric": "cost", "mode": "max"},
            },
            ["settings.x"],
        ),
    ],
    ids=["difficulty", "function"],
)  # fmt: skip
def test_a_sampler_from_outside_searches_studies_of_other_kinds(
    folder: Path, study: dict[str, Any], parameters: list[str]
) -> None:
    (folder / "cost.py").write_text("def of(x):\n    return {'cost': -abs(x - 1)}\n")
    (folder / "searched.yaml").write_text(dump_yaml(study))
    ended = run(folder, "searched.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [path] = (folder / "results/searched").iterdir()
    trials = [record for record in RunFolder(path).cells() if parameters[0] in record.axes]
    trials.sort(key=lambda record: record.finished_at)
    assert len({tuple(record.axes[name] for name in parameters) for record in trials[:10]}) == 10


@pytest.mark.slow
def test_a_kind_from_outside_has_grid_resume_and_a_report_with_its_own_section(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(folder))  # as if the package were installed
    table = cells(folder, "entropy_of_length.yaml")
    assert list(table["state"]) == ["done"] * 12
    assert table["entropy_bits"].between(0, 2).all()
    (report,) = folder.glob("results/entropy_of_length/*/report.html")
    assert "From the shortest sequences to the longest it changes by" in report.read_text()
    again = run(folder, "entropy_of_length.yaml", "--plan")
    assert re.search(r"done already +12\b", again.stdout), again.stdout

    module = folder / "exact_entropy_report.py"
    module.write_text(module.read_text().replace("means[-1].mean", "means[99].mean"))
    broken = run(folder, "entropy_of_length.yaml", "--resume")
    assert broken.returncode == 0, broken.stderr  # how the cells went
    why = "a part of this report: IndexError: list index out of range (exact_entropy_report.py"
    assert why in report.read_text()
    assert "Traceback" not in broken.stdout + broken.stderr


def test_a_kind_that_cannot_be_loaded_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(folder))
    package = folder / "exact_entropy.py"
    good = package.read_text()
    for content, line in (
        ("import nowhere\n" + good, "cannot be loaded: ModuleNotFoundError: No module named 'nowh"),
        (good + "\nKIND = 5\n", "must name a lrray.studies.kind.Kind, but got 5"),
    ):
        package.write_text(content)
        ended = run(folder, "entropy_of_length.yaml", "--plan")
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"entry point lrray.kinds: exact_entropy: {line}")
        assert ended.stderr.count("\n") == 1
