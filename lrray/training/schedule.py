"""Learning rate as a pure function of the step, so that a resumed run needs no state for it."""

from __future__ import annotations

import math

from lrray.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of a step, counted from 0.

    It rises in a line over ``warmup_steps`` (the first step already moves), then follows the
    schedule: with u the share of the remaining steps that is over and m = ``min_lr_ratio``,
    ``linear`` is 1 - (1 - m) u and ``cosine`` m + (1 - m)(1 + cos(pi u)) / 2 of the peak; ``wsd``
    (warm-up, stable, decay; Hu et al. 2024) stays and falls in a line over ``decay_share`` of all
    steps.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    first = config.warmup_steps
    if config.schedule == "wsd":
        first = max(first, _stable_until(config))
    share = max(0, step - first) / max(1, config.num_steps - first)
    left = 1.0
    if config.schedule in ("linear", "wsd"):
        left = 1 - share
    elif config.schedule == "cosine":
        left = (1 + math.cos(math.pi * share)) / 2
    return config.learning_rate * (config.min_lr_ratio + (1 - config.min_lr_ratio) * left)


def num_shared_steps(config: TrainConfig) -> int:
    """First steps of a run that are those of a longer run with the same settings, too.

    With a constant learning rate all of them; with ``wsd`` those before it falls. A schedule that
    falls all the way has none: each length is a run of its own.
    """
    if config.schedule == "constant":
        return config.num_steps
    return _stable_until(config) if config.schedule == "wsd" else 0


def _stable_until(config: TrainConfig) -> int:
    """Steps before ``wsd`` falls."""
    return config.num_steps - math.ceil(config.decay_share * config.num_steps)
