"""A difficulty study over several targets or graphs tells them apart wherever it speaks."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lrray.config import dump_yaml, load_yaml, parse
from lrray.errors import LrrayError
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.kinds.difficulty.run import DifficultyProgram
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.kinds.difficulty.show import show
from lrray.kinds.train.kind import Study
from lrray.reports.difficulty.report import answer, sections
from lrray.results.folder import RunFolder
from lrray.results.known import KnownCells
from lrray.results.run import Run
from lrray.runs.summary import write_summary
from lrray.studies.grid import GridPoint, expand
from tests.kinds.test_training_kind import TINY
from tests.studies.driven import drive
from tests.studies.small_study import STUDY


def run_points(
    folder: RunFolder, grid: dict[str, Any], **changes: Any
) -> tuple[dict[str, Any], list[GridPoint]]:
    """Runs a small study over a grid; its summary and points."""
    points = expand({**STUDY, "grid": grid, **changes}, DifficultyStudy, "study.yaml")
    program = DifficultyProgram(points, folder, slots=lambda: 2, known=KnownCells.of(folder))
    sources = (phase.source for phase in program.phases())
    drive(sources, lambda cell: run_durably(cell, folder, Limits()))
    settings = points[0].study.model_dump(mode="json", exclude_none=True)
    folder.write_text("study.yaml", dump_yaml({**settings, "grid": grid}))
    return write_summary(points[0].study, program, folder, 1.0), points


def shown(summary: dict[str, Any], points: list[GridPoint]) -> tuple[str, bool]:
    console = Console(file=StringIO(), width=120)
    show(summary, console)
    good = DifficultyProgram.is_complete(summary)
    return console.file.getvalue(), good  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "study")


def legends(run: Run) -> list[list[str]]:
    """The words of each panel's legend."""
    (picture,) = sections(run)[0].pictures
    panels = [axes for axes in picture.draw().axes if axes.get_legend() is not None]
    return [[text.get_text() for text in axes.get_legend().get_texts()] for axes in panels]


def test_each_target_is_named_with_its_own_pairs(folder: RunFolder) -> None:
    summary, points = run_points(folder, {"target.value": [0.25, 0.5]})
    said, good = shown(summary, points)
    assert good
    assert said.index("gzip = 0.25") < said.index("value=0.25") < said.index("gzip = 0.5 ")
    assert "target" not in summary
    assert [pair["target"]["value"] for pair in summary["pairs"]] == [0.25, 0.25, 0.5, 0.5]
    run = Run(folder.path)
    first, second = answer(run).split(". ")
    assert first.startswith("Equally hard at gzip = 0.25 bytes/token")
    assert second.startswith("Equally hard at gzip = 0.5 bytes/token")
    assert "value=0.5" not in first
    assert "the line gzip = 0.25 or gzip = 0.5" in sections(run)[0].text
    for legend, target in zip(legends(run), ("gzip = 0.25", "gzip = 0.5"), strict=True):
        assert any(target in words for words in legend)


def test_a_point_without_a_pair_is_named_and_the_study_does_not_meet_its_target(
    folder: RunFolder,
) -> None:
    summary, points = run_points(folder, {"target.value": [0.35, 0.06]})
    said, good = shown(summary, points)
    assert not good
    assert "No pair for value=0.06: difficulty ran from" in said
    assert "None: difficulty ran from" in answer(Run(folder.path)).split(". ")[1]


def test_panels_keep_their_trials_whatever_their_axis_is_written_like(folder: RunFolder) -> None:
    run_points(folder, {"target.tolerance": [0.25, 1]})
    found = legends(Run(folder.path))
    assert [any("10 trials" in words for words in legend) for legend in found] == [True, True]
    assert [sum("easy to" in words for words in legend) for legend in found] == [2, 2]


def test_pairs_of_several_graphs_bring_each_its_own(folder: RunFolder, tmp_path: Path) -> None:
    observed = STUDY["graph"]["nodes"][1]
    graphs = [{"nodes": [{**STUDY["graph"]["nodes"][0], "state_dim": n}, observed]} for n in (2, 4)]
    # At 0.42 the contours of both graphs reach from edge to edge.
    run_points(folder, {"graph": graphs}, target={**STUDY["target"], "value": 0.42})
    pairs = load_yaml(folder.path / "pairs.yaml")
    assert "graph" not in pairs
    study = {key: value for key, value in TINY.items() if key != "grid"} | {"pairs": pairs}
    with pytest.raises(LrrayError, match=r"pair: must name one pair, but 2 .*whose by graph:"):
        parse(Study, study, "study")
    for graph, size in zip(graphs, (2, 4), strict=True):
        cell = parse(Study, {**study, "graph": graph}, "study").cell_settings()
        assert cell["graph"]["nodes"][0]["state_dim"] == size
