"""Figures, tables and reports of the results folder, as the board serves them."""

from __future__ import annotations

from pathlib import Path

from fastapi import HTTPException
from fastapi.responses import FileResponse

_TYPES = {
    ".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf",
    ".html": "text/html; charset=utf-8",
    **dict.fromkeys((".csv", ".tex", ".json", ".jsonl", ".yaml", ".txt"), "text/plain"),
}  # fmt: skip
# A served file can load nothing and run nothing.
_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; sandbox"


def served_file(root: Path, path: str) -> FileResponse:
    """A file inside ``root``; 404 for all else: links that lead out, hidden or unknown files."""
    target = resolve_inside(root, path)
    if target is None or target.suffix not in _TYPES or not target.is_file():
        raise HTTPException(404, "no such file")
    headers = {"Content-Security-Policy": _POLICY}
    return FileResponse(target, media_type=_TYPES[target.suffix], headers=headers)


def resolve_inside(root: Path, path: str) -> Path | None:
    """``root / path`` with links followed, or None where that is not inside ``root``."""
    try:
        target = (root / path).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    hidden = any(part.startswith(".") for part in Path(path).parts)
    return target if target.is_relative_to(root.resolve()) and not hidden else None


def is_own_file(folder: Path, name: str) -> bool:
    """Whether a run's folder holds this file itself: no link that leads out, no pipe."""
    target = resolve_inside(folder, name)
    return target is not None and target.is_file()


def figures(folder: Path) -> list[Path]:
    """The PNG figures of a run, the contour first."""
    found = [path for path in sorted(folder.glob("*.png")) if is_own_file(folder, path.name)]
    return sorted(found, key=lambda path: path.stem != "contour")
