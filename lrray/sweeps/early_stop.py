"""A search's ``asha`` in the words of W&B's ``early_terminate``, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrray.errors import LrrayError
from lrray.studies.schema import CellSearch

_WANDB_ETA = 3
"""W&B's hyperband lets one in three go on where a sweep does not say."""


def early_terminate(search: CellSearch) -> dict[str, Any]:
    """What a sweep says of a search with ``scheduler: asha``."""
    eta = int(search.eta) if search.eta.is_integer() else search.eta
    return {"type": "hyperband", "min_iter": search.grace_steps, "eta": eta}


def scheduler_settings(given: Any, search: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings of a search that judges trials where a sweep's ``early_terminate`` does.

    That is from ``min_iter`` on, or at the last ``s`` rungs up to ``max_iter``.

    Args:
        given: what the sweep says.
        search: the raw settings as they are.
        where: opens error lines.

    Raises:
        LrrayError: it is not what W&B would take.
    """
    if not isinstance(given, Mapping):
        raise LrrayError(
            where, "must be a mapping", got=given, fix="{type: hyperband, min_iter: 3}"
        )
    if given.get("type") != "hyperband":
        kind = given.get("type")
        raise LrrayError(f"{where}.type", "must be hyperband", got=kind, fix="type: hyperband")
    eta = _number(given, "eta", _WANDB_ETA, where)
    if "max_iter" in given:
        last = int(_number(given, "max_iter", 1, where))
        first = max(1, round(last / eta ** _number(given, "s", 1, where)))
    else:
        first = int(_number(given, "min_iter", 1, where))
        default = CellSearch.model_fields["max_step"].default
        last = max(first, search.get("max_step", default))
    return {"scheduler": "asha", "eta": eta, "max_step": last, "grace_period": first}


def _number(given: Mapping[str, Any], name: str, default: float, where: str) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        raise LrrayError(f"{where}.{name}", "must be a number from 1 on", got=value)
    return value
