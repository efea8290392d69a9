"""What other people's results folders may hold: every file of a run, damaged in every way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lrray.studies.cell import digest

Damage = Callable[[Path], None]
"""Damages a run's folder."""

DEEP = 200_000
"""Levels of brackets."""
HUGE = 10**4000
"""A number that JSON holds and no float."""
SPARSE = 1 << 30
"""Bytes of a file that takes no room on the disk."""

FILES = (
    "study.yaml", "status.json", "summary.json", "provenance.json", "outdated.json", "kept.json",
    "tags.json", "lock.json", "CELL", "CURVE", "trials.csv", "pairs.yaml", "contour.json",
    "proposals/search.jsonl", "optuna.journal",
)  # fmt: skip
"""``CELL`` and ``CURVE`` stand for the first of their folder."""

CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "half a line": b'{"step": 10, "loss": 1.0}\n{"step": 20, "lo',
    "a list": b"[1, 2]\n",
    "a number": b"7\n",
    "text": b'"text"\n',
    "null": b"null\n",
    "binary": bytes(range(256)) * 8,
    "brackets": b"[" * DEEP,
    "brackets that close": b"[" * DEEP + b"]" * DEEP,
    "mappings": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a deep value": b'{"running": ' + b"[" * 900 + b"]" * 900 + b"}",
    "a huge number": b'{"step": 1' + b"0" * 4000 + b', "total": 1' + b"0" * 4000 + b"}\n",
    "a number of 100,000 digits": b'{"step": 1' + b"0" * 100_000 + b"}\n",
}


def _path(run: Path, name: str) -> Path:
    """The file meant; its folder is made."""
    if name in ("CELL", "CURVE"):
        folder = "cells" if name == "CELL" else "metrics"
        (first, *_) = sorted((run / folder).glob("*.json*"))
        return first
    (run / name).parent.mkdir(exist_ok=True)
    return run / name


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _holds(name: str, content: bytes) -> Damage:
    return lambda run: (_remove(_path(run, name)), _path(run, name).write_bytes(content))[0]


def _pipe(run: Path, name: str) -> None:
    path = _path(run, name)
    _remove(path)
    os.mkfifo(path)


def _folder(run: Path, name: str) -> None:
    path = _path(run, name)
    _remove(path)
    path.mkdir()


def _loop(run: Path, name: str) -> None:
    path = _path(run, name)
    _remove(path)
    path.symlink_to(path.name)


def _device(run: Path, name: str) -> None:
    path = _path(run, name)
    _remove(path)
    path.symlink_to("/dev/zero")


def _sparse(run: Path, name: str) -> None:
    path = _path(run, name)
    _remove(path)
    path.touch()
    os.truncate(path, SPARSE)


ODD: dict[str, Callable[[Path, str], None]] = {
    "a pipe": _pipe, "a folder": _folder, "a link to itself": _loop, "a device": _device,
    "a gigabyte": _sparse,
}  # fmt: skip


VALUES: dict[str, Any] = {
    "number": 5, "text": "x", "list": [1], "mapping": {"a": 1}, "null": None, "true": True,
    "nan": float("nan"), "infinity": float("inf"), "huge": HUGE, "negative": -1,
    "surrogate": "\ud800", "rows": [{"id": [1], "axes": 5}, 3, None], "long": "x" * 100_000,
}  # fmt: skip

FIELDS: dict[str, tuple[str, ...]] = {
    "status.json": ("running", "total", "ended", "done", "failed", "phase", "cells"),
    "summary.json": (
        "cells", "done", "failed", "wall_seconds", "cell_seconds", "pairs", "points", "kind",
    ),
    "provenance.json": ("git", "machine", "versions", "command", "started_at", "python"),
    "outdated.json": ("cells",),
    "kept.json": ("codes",),
    "lock.json": ("host", "pid", "started", "boot", "pids"),
    "study.yaml": (
        "kind", "question", "hypothesis", "search", "search_space", "grid", "pairs", "target",
        "settings", "tracking", "resources",
    ),
    "CELL": ("axes", "result", "settings", "seconds", "reason", "state", "finished_at", "host",
             "kind", "code"),
    "CURVE": ("step", "loss", "tokens", "time"),
}  # fmt: skip
"""Keys of mappings that readers look into."""

INSIDE: dict[str, tuple[tuple[str, str], ...]] = {
    "provenance.json": (("git", "revision"), ("git", "changed"), ("machine", "host")),
    "study.yaml": (
        ("search", "metric"), ("search", "mode"), ("search", "sampler"), ("target", "value"),
        ("target", "metric"), ("grid", "seed"),
    ),
    "CELL": (("result", "per_seed"), ("result", "loss"), ("axes", "seed"), ("settings", "seed"),
             ("settings", "graph_seed")),
}  # fmt: skip


def _with(run: Path, name: str, keys: tuple[str, ...], value: Any) -> None:
    """Sets one key of a file that is otherwise as it was."""
    path = _path(run, name)
    if name == "study.yaml":
        import yaml

        data = yaml.safe_load(path.read_text()) if path.exists() else {}
    elif name == "CURVE":
        data = json.loads(path.read_text().splitlines()[0])
    else:
        data = json.loads(path.read_text()) if path.exists() else {}
    data.pop("checksum", None)
    inner = data
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
    inner[keys[-1]] = value
    if name == "CELL":
        data["checksum"] = _digest(data)
    text = json.dumps(data)
    if name == "study.yaml":
        text = text.replace("NaN", ".nan").replace("Infinity", ".inf")
    path.write_text(text + "\n")


def _digest(data: Any) -> str:
    """The checksum that somebody writes who knows how it is made, whatever the data."""
    try:
        return digest(data)
    except ValueError:
        import hashlib

        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def damages() -> Iterator[tuple[str, Damage]]:
    """All of them, by name."""
    for name in FILES:
        for what, content in CONTENTS.items():
            yield f"{name} {what}", _holds(name, content)
        for what, make in ODD.items():
            yield f"{name} {what}", lambda run, name=name, make=make: make(run, name)
    for table in ({n: tuple((k,) for k in keys) for n, keys in FIELDS.items()}, INSIDE):
        for name, paths in table.items():
            for keys in paths:
                for what, value in VALUES.items():
                    yield (
                        f"{name} {'.'.join(keys)} {what}",
                        (lambda run, n=name, k=keys, v=value: _with(run, n, k, v)),
                    )
    for name in ("cells", "metrics"):
        yield f"{name} a file", lambda run, name=name: _as_file(run / name)
        yield f"{name} a link to itself", lambda run, name=name: _as_loop(run / name)
        yield f"{name} a pipe", lambda run, name=name: _as_pipe(run / name)


def _clear(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _as_file(path: Path) -> None:
    _clear(path)
    path.write_text("x")


def _as_loop(path: Path) -> None:
    _clear(path)
    path.symlink_to(path.name)


def _as_pipe(path: Path) -> None:
    _clear(path)
    os.mkfifo(path)
