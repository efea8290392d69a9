"""Writes ``docs/licences.md``: the licence of every direct dependency, from its own metadata.

``make licences`` runs it where everything is installed.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

PAGE = Path(__file__).with_name("licences.md")

_INTRO = """# Licences

lrray is under the Apache License 2.0. It depends on the packages below, by their own metadata; they
are installed beside it and none of their code is copied into it. Written by `make licences`.

| package | needed for | licence |
|---|---|---|
"""
_CLASSIFIER = "License :: OSI Approved :: "


def licence_of(name: str) -> str:
    """The licence that a package's metadata names: an expression, a classifier, or a first line."""
    data = metadata(name)
    if data.get("License-Expression"):
        return str(data["License-Expression"])
    classifiers = [c for c in data.get_all("Classifier") or [] if c.startswith(_CLASSIFIER)]
    if classifiers:
        return ", ".join(c.removeprefix(_CLASSIFIER) for c in classifiers)
    return (data.get("License") or "not named").splitlines()[0].strip()


def dependencies() -> dict[str, set[str]]:
    """Name of every direct dependency -> the extras that ask for it, "" for lrray itself."""
    project = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, set[str]] = {}
    for extra, requirements in groups.items():
        for requirement in requirements:
            name = re.split(r"[\s\[<>=!~;(]", requirement, maxsplit=1)[0]
            found.setdefault(name, set()).add(extra)
    return dict(sorted(found.items()))


def page() -> str:
    """The page's text; packages that are not installed here keep the line they had."""
    old = PAGE.read_text("utf-8") if PAGE.exists() else ""
    lines = []
    for name, uses in dependencies().items():
        needed = "lrray" if "" in uses else ", ".join(f"`[{use}]`" for use in sorted(uses))
        try:
            lines.append(f"| {name} | {needed} | {licence_of(name)} |")
        except PackageNotFoundError:
            before = re.search(rf"^\| {re.escape(name)} \|.*$", old, re.MULTILINE)
            lines.append(before[0] if before else f"| {name} | {needed} | not installed |")
    return _INTRO + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
