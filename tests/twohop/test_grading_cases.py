"""The table of hard texts: which are graded as they deserve, kind by kind, and which are left."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from lrray.config import load_yaml
from lrray.twohop.grading import Expected, is_right

HERE = Path(__file__)
GROUPS: list[dict[str, Any]] = load_yaml(HERE.with_name("grading_cases.yaml"))["cases"]
PAGE = HERE.parents[2] / "docs/twohop-data.md"

DESERVED = {"right": True, "wrong": False, "missed": True, "credited": False}
LEFT = ("missed", "credited")


def expected(group: dict[str, Any]) -> Expected:
    e2 = list(group.get("e2", []))
    return Expected.from_row(
        {
            "answer": group["answer"], "answers": [group["answer"], *group.get("aliases", [])],
            "intermediates": e2, "not_inside": e2, "category": group["category"],
            "case_sensitive": group.get("symbol", False), "rivals": group.get("rivals", []),
            "within": group.get("within", ""),
        }
    )  # fmt: skip


CASES = [
    (group, column, text)
    for group in GROUPS
    for column in DESERVED
    for text in group.get(column, [])
]


@pytest.mark.parametrize(("group", "column", "text"), CASES)
def test_a_text_is_graded_as_the_table_says(group: dict[str, Any], column: str, text: str) -> None:
    # One that is left and has come right moves to the others.
    assert is_right(text, expected(group)) is (DESERVED[column] is not (column in LEFT))


def table() -> str:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for group, column, _ in CASES:
        for kind in (group["kind"], "**all**"):
            own = counts[kind]
            own[0] += 1
            own[1] += column == "credited"
            own[2] += column == "missed"
    counts["**all**"] = counts.pop("**all**")
    rows = [
        f"| {kind} | {n} | {wrong} | {missed} | {(wrong + missed) / n:.1%} |"
        for kind, (n, wrong, missed) in counts.items()
    ]
    return "\n".join(rows) + "\n"


def test_the_docs_say_how_many_disagreements_are_left() -> None:
    assert len(CASES) >= 150
    assert len({(group["answer"], group["kind"], text) for group, _, text in CASES}) == len(CASES)
    print(table())
    assert table() in PAGE.read_text(encoding="utf-8")
