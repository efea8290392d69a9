"""Reads W&B runs from the ``.wandb`` files of offline (or not yet uploaded) run folders.

The file is a log in LevelDB's format behind a header of 7 bytes: blocks of 32 KiB, each record
cut into pieces that carry a checksum, a length and whether they begin or end the record. The
records are protocol buffers, whose classes come with wandb.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrray.errors import LrrayError

_BLOCK, _FILE_HEADER, _PIECE_HEADER = 32 * 1024, 7, 7
_FULL, _FIRST, _LAST = 1, 2, 4

END_TIMEOUT_S = 10.0
"""How long W&B may take to write the end of a finished run."""


@dataclass
class WandbRun:
    """What one run's file holds."""

    id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    project: str = ""
    tags: tuple[str, ...] = ()
    started_at: float = 0.0
    """Seconds since 1970."""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    """Logged points, each with ``_step``, ``_runtime`` (seconds) and ``_timestamp``."""
    exit_code: int | None = None
    """None for a run that was cut off."""


def find_runs(folder: Path) -> list[Path]:
    """The ``.wandb`` files of a run's folder, or of a folder of such folders, oldest first."""
    if folder.suffix == ".wandb":
        return [folder]
    for pattern in ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb"):
        # latest-run is a link to one of the others.
        found = [path for path in folder.glob(pattern) if path.parent.name != "latest-run"]
        if found:
            return sorted(found, key=lambda path: (path.parent.name, path.name))
    return []


def read_run(path: Path) -> WandbRun:
    """Reads one ``.wandb`` file; what a killed run left unfinished at its end is ignored.

    Raises:
        LrrayError: it is not such a file.
    """
    from wandb.proto import wandb_internal_pb2 as protocol

    content = path.read_bytes()
    if not content.startswith(b":W&B"):
        raise LrrayError(str(path), "is not a W&B run file", fix="give an offline-run-… folder")
    run = WandbRun()
    for data in _records(content):
        record = protocol.Record()  # type: ignore[attr-defined]
        record.ParseFromString(data)
        _take(run, record)
    return run


def wait_for_end(folder: Path) -> None:
    """Returns once the files of a finished run hold all of it, or after :data:`END_TIMEOUT_S`.

    W&B's service writes the end of a file after ``finish()`` has returned.
    """
    files = find_runs(folder)
    end = time.monotonic() + END_TIMEOUT_S
    while not all(map(_has_ended, files)) and time.monotonic() < end:
        time.sleep(0.05)


def _has_ended(path: Path) -> bool:
    return bool(path.stat().st_size) and read_run(path).exit_code is not None


def _take(run: WandbRun, record: Any) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        said = record.run
        run.id, run.name, run.project = said.run_id, said.display_name, said.project
        run.group, run.job_type, run.tags = said.run_group, said.job_type, tuple(said.tags)
        run.started_at = said.start_time.seconds + said.start_time.nanos * 1e-9
        _update(run.config, said.config.update)
    elif kind == "config":
        _update(run.config, record.config.update)
    elif kind == "summary":
        _update(run.summary, record.summary.update)
    elif kind == "history":
        point: dict[str, Any] = {}
        _update(point, record.history.item)
        point.setdefault("_step", record.history.step.num)
        run.history.append(point)
        run.summary |= point
    elif kind == "exit":
        run.exit_code = record.exit.exit_code


def _update(target: dict[str, Any], items: Iterable[Any]) -> None:
    for item in items:
        target[".".join(item.nested_key) or item.key] = json.loads(item.value_json)


def _records(content: bytes) -> Iterator[bytes]:
    """Whole records, in order; ends at the first piece that is cut off."""
    at, pieces = _FILE_HEADER, b""
    while at + _PIECE_HEADER <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _PIECE_HEADER:
            at += left  # too little for a header: padding
            continue
        length = int.from_bytes(content[at + 4 : at + 6], "little")
        kind = content[at + 6]
        piece = content[at + _PIECE_HEADER : at + _PIECE_HEADER + length]
        if kind == 0 or len(piece) < length:
            return
        pieces = piece if kind in (_FULL, _FIRST) else pieces + piece
        if kind in (_FULL, _LAST):
            yield pieces
        at += _PIECE_HEADER + length
