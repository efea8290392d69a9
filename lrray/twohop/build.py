"""Writing two-hop datasets to disk: JSONL splits and a manifest that vouches for them.

``DIR/<dataset>/train/first_hop.jsonl``
    the facts to be learnt, one per person
``DIR/<dataset>/test/<attribute>_{nocot,cot,nocot_shuffled,second_hop}.jsonl``
    the questions about one attribute
``DIR/<dataset>/manifest.json``
    checksums, chance levels, fixed points, and what the rows were made from

The manifest is written last and every file appears whole or not at all, so a folder whose
manifest agrees with its files is complete. Each dataset has a manifest of its own: datasets can
be built into one folder by several processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import lrray
from lrray.errors import LrrayError
from lrray.files import write_whole
from lrray.twohop.chance import ChanceLevels, chance_levels
from lrray.twohop.facts import Facts, fingerprint
from lrray.twohop.rows import Row
from lrray.twohop.splits import AttributeSplits, BuildConfig, Splits, make_splits

FORMAT = 3
"""Raised whenever equal arguments give other rows."""
KINDS = ("nocot", "cot", "nocot_shuffled", "second_hop")
"""Test splits of every attribute."""


class FileEntry(TypedDict):
    """One split file in a manifest."""

    rows: int
    sha256: str


class AttributeEntry(TypedDict):
    """What a manifest tells about one attribute."""

    category: str
    people: int
    """People asked, one row each in the unshuffled splits."""
    left_out_uncertain: int
    """People not asked because their entity's fact is uncertain."""
    values: int
    """Different answers among them."""
    values_in_name: int
    """Rows whose answer stands in the entity's own name."""
    fixed_points: int
    """Rows that keep a right answer in every shuffle; the fewest that the values allow."""
    deranged: bool
    """Whether there is none: if not, the gap of this attribute leaves those rows out."""
    chance: ChanceLevels


class Manifest(TypedDict):
    """Content of ``manifest.json``."""

    format: int
    lrray_version: str
    dataset: str
    facts_sha256: str
    config: dict[str, Any]
    people: dict[str, str]
    """Entity of each person."""
    attributes: dict[str, AttributeEntry]
    files: dict[str, FileEntry]
    """By path relative to the dataset's folder."""


def build(datasets: Iterable[Facts], config: BuildConfig, out: str | Path) -> list[Manifest]:
    """Builds every dataset into a folder of its own under ``out``.

    Raises:
        LrrayError: a dataset cannot have that many people, or ``out`` cannot be written.
    """
    return [build_dataset(facts, config, out) for facts in datasets]


def build_dataset(facts: Facts, config: BuildConfig, out: str | Path) -> Manifest:
    """Writes ``out/<dataset>`` and returns its manifest; equal arguments give equal bytes."""
    splits = make_splits(facts, config)
    texts = {path: _jsonl(rows) for path, rows in _files(splits)}
    manifest = _manifest(facts, config, splits, texts)
    folder = Path(out) / facts.dataset
    try:
        _remove_outdated(folder, texts)
        for path, text in texts.items():
            write_whole(folder / path, text)
        write_whole(folder / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False))
    except OSError as error:
        raise LrrayError(
            str(folder), f"cannot be written: {error.strerror}", fix="choose another --out folder"
        ) from None
    return manifest


def read_manifest(folder: str | Path) -> Manifest:
    """Manifest of a built dataset, after checking every file against its checksum.

    Raises:
        LrrayError: the manifest is missing or names files outside the folder, or a file is missing
            or was changed.
    """
    folder = Path(folder)
    try:
        manifest: Manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise LrrayError(
            str(folder), "holds no complete dataset", fix="build the dataset again"
        ) from None
    for path, entry in files.items():
        file = folder / path
        if not _lies_in(folder, path):
            raise LrrayError(
                str(folder / "manifest.json"), "must name files of its own folder alone", got=path,
                fix="build the dataset again",
            )  # fmt: skip
        if not file.is_file() or _sha256(file.read_bytes()) != entry["sha256"]:
            raise LrrayError(
                str(file), "must have the manifest's checksum", fix="build the dataset again"
            )
    return manifest


def _files(splits: Splits) -> Iterator[tuple[str, list[Row]]]:
    yield "train/first_hop.jsonl", splits.first_hop
    for name, attribute in splits.attributes.items():
        for kind in KINDS:
            yield f"test/{name}_{kind}.jsonl", getattr(attribute, kind)


def _manifest(facts: Facts, config: BuildConfig, splits: Splits, texts: dict[str, str]) -> Manifest:
    return {
        "format": FORMAT,
        "lrray_version": lrray.__version__,
        "dataset": facts.dataset,
        "facts_sha256": fingerprint(facts),
        "config": config.model_dump(),
        "people": {row["person"]: row["answer"] for row in splits.first_hop},
        "attributes": {
            name: _attribute_entry(attribute) for name, attribute in splits.attributes.items()
        },
        "files": {
            path: {"rows": text.count("\n"), "sha256": _sha256(text.encode())}
            for path, text in texts.items()
        },
    }


def _attribute_entry(splits: AttributeSplits) -> AttributeEntry:
    fixed = sum(row["fixed_point"] for row in splits.nocot_shuffled if row["shuffle"] == 1)
    return {
        "category": splits.nocot[0]["category"],
        "people": len(splits.nocot),
        "left_out_uncertain": splits.left_out,
        "values": len({row["answer"] for row in splits.nocot}),
        "values_in_name": sum(row["value_in_name"] for row in splits.nocot),
        "fixed_points": fixed,
        "deranged": fixed == 0,
        "chance": chance_levels(splits),
    }


def _jsonl(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _remove_outdated(folder: Path, texts: dict[str, str]) -> None:
    """Removes what an earlier build wrote and this one will not, and first its manifest."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return
    try:
        old = dict(json.loads(manifest.read_text(encoding="utf-8"))["files"])
    except (ValueError, KeyError, TypeError):
        old = {}
    manifest.unlink()
    for path in set(old) - set(texts):
        if _lies_in(folder, path):
            (folder / path).unlink(missing_ok=True)


def _lies_in(folder: Path, path: str) -> bool:
    """Whether a manifest's path stays in its folder; anybody may have written the manifest."""
    return (folder / path).resolve().is_relative_to(folder.resolve())
