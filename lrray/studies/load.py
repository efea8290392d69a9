"""Finds study and search-space files: the user's own first, then those that ship with lrray."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrray.config import apply_overrides, load_yaml, parse_yaml, set_key
from lrray.errors import LrrayError, did_you_mean
from lrray.studies.foreign import PAGE, recognise
from lrray.studies.grid import GridPoint, expand
from lrray.studies.kind import Kind, known_kinds, load_kind
from lrray.studies.resources import Resources
from lrray.studies.tuned import Tuned, look_up

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
        if path.suffix in (".yaml", ".yml"):
            raise LrrayError(name, "no such study file", fix="check the path, or see --list")
    beside = path.with_name(f"{path.name}.yaml") if path.name else path
    fix = f"did you mean {beside}?" if _is_file(beside) else did_you_mean(name, known)
    raise LrrayError(name, "no such study", fix=fix)


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


def read_study(name: str, overrides: Iterable[str] = ()) -> tuple[dict[str, Any], Path]:
    """Reads a study's raw settings, with overrides, its scale and the files it names filled in.

    An override of an axis of the grid replaces the axis; ``scale=NAME`` chooses among the
    settings under ``scales:``.

    Raises:
        LrrayError: anything a user can get wrong on that way.
    """
    path, words = find_study(name), list(overrides)
    data, settings = load_yaml(path), words
    if "scales" in data:
        data = _scaled(data, words, str(path))
        settings = [word for word in words if not word.startswith("scale=")]
    data = apply_overrides(data, [word for word in settings if not _replaces_axis(data, word)])
    for word in settings:
        if _replaces_axis(data, word):
            axis, _, text = word.partition("=")
            values = parse_yaml(text, word)
            values = values if isinstance(values, list | dict) else [values]
            data = {**data, "grid": {**data["grid"], axis: values}}
    for key in ("graph", "search_space", "pairs"):
        if key in data:
            data[key] = _with_files_read(data[key], path)
    return _with_one_pair_set(data), path


def _with_one_pair_set(data: dict[str, Any]) -> dict[str, Any]:
    """Without an axis over sets of pairs where a single file of pairs took their place."""
    pairs, grid = data.get("pairs"), data.get("grid")
    if not isinstance(pairs, dict) or "pairs" not in pairs or not isinstance(grid, dict):
        return data
    return {**data, "grid": {axis: grid[axis] for axis in grid if axis != "pair_set"}}


def _with_files_read(value: Any, study: Path) -> Any:
    """What a file holds, for the file's name; also inside a mapping of names to files."""
    if isinstance(value, str):
        return load_yaml(find_beside(value, study))
    if isinstance(value, dict):
        return {
            k: load_yaml(find_beside(v, study)) if isinstance(v, str) else v
            for k, v in value.items()
        }
    return value


def _replaces_axis(data: dict[str, Any], word: str) -> bool:
    grid = data.get("grid")
    return isinstance(grid, dict) and word.partition("=")[0] in grid


def _scaled(data: dict[str, Any], words: list[str], where: str) -> dict[str, Any]:
    """The settings with those of the chosen scale laid over them."""
    scales = data["scales"]
    chosen = apply_overrides(data, [word for word in words if word.startswith("scale=")])
    name = chosen.get("scale")
    if not isinstance(scales, dict) or name not in scales:
        known = did_you_mean(str(name), scales if isinstance(scales, dict) else ())
        raise LrrayError(f"{where}: scale", "must name one of its scales", got=name, fix=known)
    base = {key: value for key, value in data.items() if key not in ("scale", "scales")}
    return dict(_laid_over(base, scales[name]))


def _laid_over(base: Any, top: Any) -> Any:
    """``top`` over ``base``, mapping by mapping; a grid is replaced axis by axis."""
    if not isinstance(base, dict) or not isinstance(top, dict):
        return top
    return {**base, **{key: _laid_over(base.get(key), value) for key, value in top.items()}}


@dataclass(frozen=True)
class LoadedStudy:
    """A study that has been read, checked and expanded over its grid."""

    given: tuple[str, ...]
    """The study and the settings to change, word by word."""
    path: Path
    data: dict[str, Any]
    """Its raw settings: overrides, scale and the files that it names filled in."""
    kind: Kind
    points: list[GridPoint]
    """At least one; a study without a grid has just one."""
    tuned: Sequence[Tuned] = ()
    """Its settings that take the best value of an earlier run."""

    @property
    def name(self) -> str:
        """What its results folder is called."""
        return self.path.stem

    @property
    def first(self) -> Any:
        """The settings at the first point; all points share what is not an axis."""
        return self.points[0].study

    def check(self, out: Path) -> None:
        """Checks what takes heavy imports or files; ``out`` is the folder for results.

        Raises:
            LrrayError: see :attr:`lrray.studies.kind.Kind.check`.
        """
        studies = [point.study for point in self.points]
        self._check_pack()
        self.kind.check(studies, str(self.path), out / self.name / "data")

    def _check_pack(self) -> None:
        resources: Resources = self.first.resources
        where = f"{self.path}: resources.pack"
        if resources.pack > 1 and self.kind.pack_key is None:
            raise LrrayError(
                where, f"a study of kind {self.first.kind} runs each of its cells alone",
                got=resources.pack, fix="leave it out",
            )  # fmt: skip
        if resources.pack > 1 and self.first.search is not None:
            raise LrrayError(
                where, "packs cells of a grid; a search proposes one after the other",
                got=resources.pack, fix="leave it out",
            )  # fmt: skip

    def resolved(self) -> dict[str, Any]:
        """The study with every default written out, its grid, and where tuned settings are from."""
        settings: dict[str, Any] = self.first.model_dump(mode="json", exclude_none=True)
        for one in self.tuned:  # the first point's value is one of several
            settings = set_key(settings, one.key, one.to_dict(), str(self.path))
        grid = self.data.get("grid")
        return settings if grid is None else {**settings, "grid": grid}


def load_study(name: str, overrides: Iterable[str] = ()) -> LoadedStudy:
    """Reads a study by name or path; see :func:`read_study` for the overrides.

    Raises:
        LrrayError: anything that a user can get wrong in it.
    """
    words = tuple(overrides)
    data, path = read_study(name, words)
    return check_study(data, path, (name, *words))


def check_study(data: dict[str, Any], path: Path, given: tuple[str, ...] = ()) -> LoadedStudy:
    """Checks raw settings and expands them; ``path`` opens error lines.

    Raises:
        LrrayError: anything is wrong with them.
    """
    name, known = data.get("kind"), known_kinds()
    if name is None and (foreign := recognise(data)) is not None:
        where = foreign.instead.replace("FILE", str(path))
        raise LrrayError(str(path), f"is {foreign.what}, not a study", fix=f"{where}; see {PAGE}")
    if not isinstance(name, str) or name not in known:
        fix = did_you_mean(name, known) if isinstance(name, str) else f"kind: {known[0]}"
        raise LrrayError(f"{path}: kind", "must name a kind of study", got=name, fix=fix)
    kind = load_kind(name)
    tuned = look_up({key: value for key, value in data.items() if key != "grid"}, str(path))
    points = expand(data, kind.Study, str(path), tuned)
    return LoadedStudy(given, path, data, kind, points, tuned)
