"""What makes a cell another cell, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lrray.studies.cell import Cell, digest

CELL = Cell("function", {"rate": 0.1, "model": {"type": "llama", "size": 8}}, {}, code="c0de")


def test_the_order_of_keys_does_not_matter() -> None:
    swapped = {"model": {"size": 8, "type": "llama"}, "rate": 0.1}
    assert replace(CELL, settings=swapped).id == CELL.id


def test_axes_are_labels_and_do_not_matter() -> None:
    assert replace(CELL, axes={"seed": 3}).id == CELL.id


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, kind="difficulty"),
        replace(CELL, code="c0df"),
        replace(CELL, settings={**CELL.settings, "rate": 0.2}),
        replace(CELL, settings={**CELL.settings, "model": {"type": "llama", "size": 9}}),
        replace(CELL, settings={**CELL.settings, "more": None}),
    ],
)
def test_kind_code_and_every_setting_matter(other: Cell) -> None:
    assert other.id != CELL.id


def test_ids_survive_the_way_to_a_worker() -> None:
    assert Cell(**CELL.to_dict()).id == CELL.id


def test_the_order_of_a_list_matters() -> None:
    assert digest([1, 2]) != digest([2, 1])


@pytest.mark.parametrize(
    ("code", "digest"),
    [
        ("results 1", None),
        ("results 12 0123456789abcdef", "0123456789abcdef"),
        ("0123456789abcdef", None),  # of lrray 0.2.0
    ],
)
def test_a_cell_tells_the_digest_of_the_users_modules(code: str, digest: str | None) -> None:
    assert replace(CELL, code=code).user_code == digest
