"""No committed finding holds a model that beats the exact bound."""

import csv
from pathlib import Path

import pytest

FINDINGS = Path(__file__).parents[2] / "docs" / "findings"


def excesses(path: Path) -> list[tuple[float, float]]:
    """Excess loss and its standard error over seeds (0 for a single one), row by row."""
    with path.open(newline="") as file:
        return [
            (float(row["excess_bits"]), float(row.get("excess_bits_se") or 0))
            for row in csv.DictReader(file)
            if row.get("excess_bits")
        ]


@pytest.mark.parametrize(
    "path", sorted(FINDINGS.glob("*/numbers.csv")), ids=lambda p: p.parent.name
)
def test_no_mean_excess_lies_beyond_chance_below_the_bound(path: Path) -> None:
    found = excesses(path)
    assert found
    assert [excess for excess, error in found if excess <= -3 * error] == []


def test_findings_of_training_studies_are_there() -> None:
    assert len(list(FINDINGS.glob("*/numbers.csv"))) >= 8
