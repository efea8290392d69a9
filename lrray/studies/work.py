"""How much a cell computes, for plans."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Tokens that a cell trains on, and what each costs."""

    tokens: int
    flops_per_token: int
    """Of a forward and a backward pass, as :mod:`lrray.models.size` counts them."""
