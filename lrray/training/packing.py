"""Several runs of models of one shape, trained by one process as one batched program.

Every member of a pack runs in a thread of its own, with its own data, checkpoints and reports, as
it would alone; only its optimizer steps are taken together with the others' (:mod:`lrray.training
.stack`). One thread works at a time, so members share torch's random state, caches and files as
runs one after the other do. A member that ends, stops or fails leaves; the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lrray.training.config import TrainConfig
from lrray.training.distributed import Workers
from lrray.training.learner import Learner
from lrray.training.stack import Stack, Taken


class Pack:
    """The members that take their steps together.

    Args:
        num_members: how many there are; each enters :meth:`member` once, in its own thread.
    """

    def __init__(self, num_members: int) -> None:
        self._turn = threading.Condition()
        self._num_present = num_members
        self._num_learners = 0
        self._waiting: dict[int, tuple[PackedLearner, Tensor, int]] = {}
        self._taken: dict[int, Taken | Exception] = {}
        self._stack: Stack | None = None

    @contextmanager
    def member(self) -> Iterator[None]:
        """Within it, a thread is a member; it works while no other one does."""
        with self._turn:
            try:
                yield
            finally:
                self._num_present -= 1
                self._step_if_all_wait()

    def learner(self, model: nn.Module, config: TrainConfig, workers: Workers) -> Learner:
        """A learner for the calling member, who may make another where a run is tried again."""
        self._num_learners += 1
        return PackedLearner(self, self._num_learners, model, config, workers)

    def step(self, learner: PackedLearner, tokens: Tensor, number: int) -> Taken:
        """Takes a member's step once every other member waits for its own.

        Raises:
            Exception: the step of all of them failed, e.g. for too little memory.
        """
        self._waiting[learner.number] = learner, tokens, number
        self._step_if_all_wait()
        while learner.number not in self._taken:
            self._turn.wait()
        taken = self._taken.pop(learner.number)
        if isinstance(taken, Exception):
            raise taken
        return taken

    def _step_if_all_wait(self) -> None:
        if not self._waiting or len(self._waiting) < self._num_present:
            return
        order = sorted(self._waiting)
        learners, tokens, numbers = zip(*(self._waiting[i] for i in order), strict=True)
        taken: Sequence[Taken | Exception]
        try:
            taken = self._steps(learners, tokens, numbers)
        except Exception as error:
            taken, self._stack = [error] * len(order), None
        self._taken.update(zip(order, taken, strict=True))
        self._waiting.clear()
        self._turn.notify_all()

    def _steps(
        self, learners: Sequence[PackedLearner], tokens: Sequence[Tensor], numbers: Sequence[int]
    ) -> Sequence[Taken]:
        if len(learners) == 1:
            return [learners[0].step_alone(tokens[0], numbers[0])]
        if self._stack is None or self._stack.learners != learners:
            self._stack = Stack(learners)
        return self._stack.step(torch.stack(list(tokens)), numbers)


class PackedLearner(Learner):
    """A member's learner: its weights and optimizer state, stepped with those of the others."""

    def __init__(
        self, pack: Pack, number: int, model: nn.Module, config: TrainConfig, workers: Workers
    ) -> None:
        super().__init__(model, config, workers)
        self._pack, self.number = pack, number

    def step(self, tokens: Tensor, number: int) -> Taken:
        """As :meth:`Learner.step`."""
        return self._pack.step(self, tokens, number)

    def step_alone(self, tokens: Tensor, number: int) -> Taken:
        """A step of the last member that is left."""
        return super().step(tokens, number)
