"""Samplers of the user's own, by ``search.sampler: module:Class``.

A class derived from Optuna's ``BaseSampler``, or a function that makes one, is called with
``search.options`` by name, and with ``seed`` where it takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study, logging
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from lrray.config import Problem
from lrray.references import call_arguments, failure, load_reference


def custom_sampler(reference: str, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """Makes a sampler.

    Raises:
        Problem: it cannot be loaded or made with these options, or is no sampler of Optuna's.
    """
    made = load_reference(reference, at="sampler")
    arguments = call_arguments(made, reference, options, {"seed": seed}, at="options")
    try:
        sampler = made(**arguments)
    except Exception as error:  # whatever a user's class does
        rule = f"{reference} cannot be made: {failure(error)}"
        raise Problem(rule, at="options", got=dict(options), fix="mend these, or it") from None
    if not isinstance(sampler, BaseSampler):
        fix = "derive it from optuna.samplers.BaseSampler"
        got = type(sampler).__name__
        raise Problem(f"{reference} must be a sampler of Optuna's", at="sampler", got=got, fix=fix)
    return sampler


def try_sampler(sampler: BaseSampler, name: str, space: Mapping[str, BaseDistribution]) -> None:
    """Lets a sampler propose the first trial of a search that nobody sees.

    Raises:
        Problem: it fails, or proposes a value outside the space.
    """
    logging.set_verbosity(logging.WARNING)  # or the storage tells that it was made
    storage = InMemoryStorage()
    storage.create_new_study([StudyDirection.MINIMIZE], "trial")
    study = Study("trial", storage, sampler=sampler)
    try:
        proposed = study.ask(dict(space)).params
    except Exception as error:  # whatever a user's sampler does
        rule = f"{name} proposes nothing: {failure(error)}"
        raise Problem(rule, at="search.sampler", fix="mend the sampler") from None
    for key, value in proposed.items():
        if not space[key]._contains(space[key].to_internal_repr(value)):
            rule = f"{name} must propose {key} within {space[key]}"
            raise Problem(rule, at="search.sampler", got=value, fix="mend the sampler")
