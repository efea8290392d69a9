"""Finding and reading facts files: those shipped with the package, and a user's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lrray.config import load_yaml, parse
from lrray.errors import LrrayError, ManyErrors, did_you_mean
from lrray.twohop.facts.checks import broken_rules
from lrray.twohop.facts.schema import Facts

FOLDER = Path(__file__).parent
EXTRA_DATASETS = ("observatories",)
"""Shipped, but no part of the 17 kinds of earlier work."""


def shipped_datasets() -> list[str]:
    """Names of all datasets that come with the package, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_facts(path: str | Path) -> Facts:
    """Reads and checks one facts file.

    Raises:
        LrrayError: the file is missing, not YAML, or breaks a rule; several broken rules come as
            one ManyErrors with a line each, which names the file and the key path.
    """
    facts = parse(Facts, load_yaml(path), str(path))
    errors = broken_rules(facts, str(path))
    if len(errors) > 1:
        raise ManyErrors(errors)
    if errors:
        raise errors[0]
    return facts


@cache
def shipped_facts(dataset: str) -> Facts:
    """Facts of a shipped dataset.

    Raises:
        LrrayError: there is no dataset of that name.
    """
    if dataset not in shipped_datasets():
        raise LrrayError(
            dataset,
            "no such two-hop dataset",
            fix=did_you_mean(dataset, shipped_datasets()),
        )
    return load_facts(FOLDER / f"{dataset}.yaml")


def choose_facts(names: Iterable[str] = (), files: Iterable[str | Path] = ()) -> list[Facts]:
    """Facts of the named shipped datasets (``all``: every one), then of the user's own files.

    Raises:
        LrrayError: a name is unknown, a file is broken, or two of them are one dataset.
    """
    names = list(dict.fromkeys(names))
    if "all" in names:
        names = shipped_datasets()
    chosen = [*map(shipped_facts, names), *map(load_facts, files)]
    seen: set[str] = set()
    for facts in chosen:
        if facts.dataset in seen:
            raise LrrayError(
                facts.dataset,
                "two facts files have this dataset name",
                fix="rename the dataset in your own file",
            )
        seen.add(facts.dataset)
    return chosen


def fingerprint(facts: Facts) -> str:
    """SHA-256 of the content of ``facts``, whatever file it was read from."""
    return hashlib.sha256(facts.model_dump_json().encode()).hexdigest()
