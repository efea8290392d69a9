"""Runs that differ in their length alone, of which the longer one goes on from the shorter one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Branch:
    """Where runs that differ in their length alone meet.

    The first steps of two such runs are the same where the learning rate does not depend on the
    length (:func:`lrray.training.schedule.num_shared_steps`), so the longer one goes on from the
    shorter one's checkpoint, and ends as if it had done all steps itself.
    """

    folder: Path
    """Of checkpoints of such runs with the same model; seen by all workers."""
    leave: bool
    """Whether to leave one there; to go on from one is tried in any case."""
    continued: Callable[[int], None] = lambda step: None
    """Called in every worker where a run goes on from a checkpoint there, with its step."""
