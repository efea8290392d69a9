"""Parameters of sweeps as key paths of a study: most people's have bare names, such as ``lr``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from lrray.errors import LrrayError, did_you_mean
from lrray.studies.schema import CellStudy, StudyBase

_AROUND = {*StudyBase.model_fields, *CellStudy.model_fields} - {"seed"}
"""Keys of a study that say how it is run: no parameter of an experiment is meant."""


def setting_path(name: str, study: StudyBase, where: str) -> str:
    """The key path of the setting that a sweep's parameter stands for.

    A key path of the study stands for itself; a bare name for the one setting that ends with it,
    and of a function for the argument of that name, which lies below ``settings``.

    Raises:
        LrrayError: there is no such setting, or several.
    """
    first = name.partition(".")[0]
    if "settings" in type(study).model_fields:
        own = {*type(study).model_fields} - _AROUND - {"function"}
        return name if first in own else f"settings.{name}"
    paths = list(key_paths(study))
    if name in paths or (first in type(study).model_fields and "." in name):
        return name
    alike = [
        path
        for path in paths
        if path.rpartition(".")[2] == name and path.split(".")[0] not in _AROUND
    ]
    if len(alike) == 1:
        return alike[0]
    rule = f"no setting of a {study.kind} study" if not alike else "may mean several settings"
    fix = " or ".join(alike) or did_you_mean(name, paths)
    raise LrrayError(where, rule, fix=fix)


def key_paths(settings: BaseModel, path: str = "") -> Iterator[str]:
    """Key paths of all settings, those of models inside included."""
    for name in type(settings).model_fields:
        own = f"{path}.{name}" if path else name
        yield own
        value: Any = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from key_paths(value, own)
