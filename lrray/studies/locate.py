"""Finds study and search-space files: the user's own first, then those that ship with lrray."""

from __future__ import annotations

from pathlib import Path

from lrray.errors import LrrayError, did_you_mean

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = (_PACKAGE / "shipped", _PACKAGE.parent)
"""Inside an installed wheel; beside the package in a source tree."""


def shipped_folder(name: str) -> Path:
    """The folder ``studies`` or ``search_spaces`` that came with lrray."""
    return next((base / name for base in _SHIPPED if (base / name).is_dir()), _SHIPPED[0] / name)


def list_studies() -> dict[str, Path]:
    """Name -> file of every study in ``./studies`` and among the shipped ones."""
    found: dict[str, Path] = {}
    for folder in (shipped_folder("studies"), Path("studies")):
        if folder.is_dir():
            found |= {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return dict(sorted(found.items()))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def find_study(name: str) -> Path:
    """The file of a study given by name or by path.

    Raises:
        LrrayError: there is none.
    """
    known = list_studies()
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if path.stem.startswith("."):  # '..' would lead out of the results folder
            raise LrrayError(
                name, "a study's name must not begin with a dot", fix="rename the file"
            )
        if _is_file(path):
            return path
        raise LrrayError(name, "no such study file", fix="check the path, or see --list")
    raise LrrayError(name, "no such study", fix=did_you_mean(name, known))


def find_beside(reference: str, study: Path) -> Path:
    """A file that a study names: from the working folder, beside the study, or shipped.

    Raises:
        LrrayError: it is in none of them.
    """
    places = [
        Path(reference),
        study.parent / reference,
        study.parent.parent / reference,
        *(base / reference for base in _SHIPPED),
    ]
    for place in places:
        if _is_file(place):
            return place
    raise LrrayError(
        str(study), f"names {reference!r}, which is not there",
        fix="put it at " + " or ".join(dict.fromkeys(map(str, places[:2]))),
    )  # fmt: skip
