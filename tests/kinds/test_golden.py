"""What every shipped kind computes is pinned, and so is the version that stands for it.

``golden.json`` holds, for each ``results_version`` that a kind has had, what one small cell gave.
The cells are those of ``tests/fixtures/0.2.0``. A kind whose numbers change gets a new version in
the same commit, or users' finished cells would be mixed with others; a kind whose numbers do not
change keeps its version, or their finished cells would be thrown away for nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrray.config import numbers_in
from lrray.results.record import CellRecord, plain_data
from lrray.studies.kind import CellContext, known_kinds, load_kind

HERE = Path(__file__).parent
RUNS = HERE.parent / "fixtures/0.2.0/runs"

CELLS = {
    "difficulty": RUNS / "small/20261128-210145-7c77/cells/1074201196c10c5c.json",
    "train": RUNS / "tiny/20261128-210206-ef43/cells/95f5bd0d2f4f1472.json",
    "twohop": RUNS / "hops/20261128-212104-d9f1/cells/17e18356e4a00d8c.json",
}
"""A cell of each kind that computes something of its own; ``function`` only calls the user's."""

STABLE = {"difficulty": 1e-9, "train": 1e-4, "twohop": 1e-3}
"""Relative error that machines and versions of libraries may differ by: float64 sums in difficulty,
float32 training in the others."""

ROUNDING = {"twohop": 1e-6}
"""Absolute error of numbers near 0: a gap is a difference of float32 losses."""

TIMES = ("seconds", "tokens_per_s")


def golden() -> dict[str, dict[str, dict[str, float]]]:
    """Kind -> results_version -> number by name."""
    return json.loads((HERE / "golden.json").read_text())


def record_of(kind: str) -> CellRecord:
    record = CellRecord.parse(CELLS[kind].read_bytes(), CELLS[kind].stem)
    assert record is not None
    return record


def pinned(result: Any) -> dict[str, float]:
    """The numbers of a result that do not tell of the machine."""
    numbers = dict(numbers_in(plain_data(result), "/"))
    return {name: value for name, value in numbers.items() if name not in TIMES}


def computed(kind: str, folder: Path) -> dict[str, float]:
    context = CellContext(
        checkpoint=folder / "checkpoints/cell", shared=folder / "shared", data=folder / "data",
        log=lambda point: None,
    )  # fmt: skip
    (folder / "shared").mkdir()
    return pinned(load_kind(kind).run_cell(record_of(kind).settings, context))


def test_every_kind_that_computes_has_golden_numbers() -> None:
    assert golden().keys() == CELLS.keys() == set(known_kinds()) - {"function"}


@pytest.mark.parametrize("kind", CELLS)
def test_the_numbers_of_a_kind_are_those_of_its_results_version(kind: str, tmp_path: Path) -> None:
    version, versions = str(load_kind(kind).results_version), golden()[kind]
    assert version == max(versions, key=int), (
        f"results_version of kind {kind} is {version}, but tests/kinds/golden.json ends with "
        f"{max(versions, key=int)}: they are raised in one commit, which also changes the numbers"
    )
    expected = versions[version]
    # A number that is new beside them is no other result; one that is gone is.
    found = {name: value for name, value in computed(kind, tmp_path).items() if name in expected}
    assert found == pytest.approx(expected, rel=STABLE[kind], abs=ROUNDING.get(kind)), (
        f"kind {kind} computes other numbers than its results_version {version} stands for. If "
        f"that is meant, raise results_version of the kind in this commit, and add the numbers "
        f"under {int(version) + 1} to tests/kinds/golden.json; leave those of {version} as they are"
    )


@pytest.mark.parametrize("kind", CELLS)
def test_no_two_results_versions_stand_for_the_same_numbers(kind: str) -> None:
    versions = golden()[kind]
    for earlier, later in zip(versions, list(versions)[1:], strict=False):
        assert int(later) == int(earlier) + 1
        assert versions[later] != pytest.approx(versions[earlier], rel=STABLE[kind]), (
            f"results_version {later} of kind {kind} stands for the numbers of {earlier}: users' "
            f"finished cells would run again for nothing; keep {earlier}"
        )


@pytest.mark.parametrize("kind", CELLS)
def test_version_1_is_what_lrray_0_2_0_computed(kind: str) -> None:
    assert golden()[kind]["1"] == pinned(record_of(kind).result)
