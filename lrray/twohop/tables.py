"""Chance levels of built datasets as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lrray.twohop.build import AttributeEntry, Manifest

_HEAD = (
    "| dataset | attribute | category | values | in name | other person | commonest | plain |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def chance_table(manifests: Iterable[Manifest]) -> str:
    """One line per attribute, then the average over all of them.

    ``values``: different answers among the people asked; ``in name``: answers that stand in the
    entity's own name; ``other person`` and ``commonest``: the two chance levels, strictly graded;
    ``plain``: the first of them under plain substring grading.
    """
    lines, entries = [], []
    for manifest in manifests:
        for name, entry in manifest["attributes"].items():
            entries.append(entry)
            lines.append(_line(manifest["dataset"], name, entry))
    return _HEAD + "".join(lines) + _average(entries)


def _line(dataset: str, name: str, entry: AttributeEntry) -> str:
    values = entry["values"], f"{entry['values_in_name']}/{entry['people']}"
    return _cells([dataset, name, entry["category"], *values, *_levels([entry])])


def _average(entries: Sequence[AttributeEntry]) -> str:
    in_name = sum(entry["values_in_name"] for entry in entries)
    asked = sum(entry["people"] for entry in entries)
    return _cells(["**all**", "", "", "", f"{in_name}/{asked}", *_levels(entries)])


def _levels(entries: Sequence[AttributeEntry]) -> list[str]:
    chances = [entry["chance"] for entry in entries]
    columns = (
        [chance["other_person"] for chance in chances],
        [chance["commonest"] for chance in chances],
        [chance["other_person_plain"] for chance in chances],
    )
    return [f"{sum(column) / len(column):.2f}" for column in columns]


def _cells(values: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, values)) + " |\n"
