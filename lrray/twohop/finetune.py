"""Fine-tuning a chat model on first-hop facts: epochs, evaluations between them, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrray.training.checkpoint import Checkpoint, CheckpointFolder
from lrray.training.distributed import Workers
from lrray.training.stopping import Stopped
from lrray.twohop.chat import Example
from lrray.twohop.config import FinetuneConfig
from lrray.twohop.learner import AnswerLearner

History = list[dict[str, Any]]
"""What every evaluation found, oldest first; plain data, each with its ``epoch``."""

Replay = Callable[[int], Sequence[Example]]
"""Further rows of a step, by its number."""


@dataclass
class Finetuning:
    """One run of fine-tuning.

    Args:
        learner: the model and its optimizer.
        rows: of an epoch, in the same order in every worker.
        config: how.
        seed: of the order of rows.
        workers: that train together.
        evaluate: given the epochs done (0 before training) and their mean loss, measures the
            model; its result is kept in the history, and by checkpoints. None: no evaluation then.
        replay: rows added to every step.
        folder: of checkpoints; none: nothing is kept.
        should_stop: asked before every epoch; a yes from any worker stops all.
        saved: called in the first worker after every checkpoint.
        save_last: write a checkpoint at the end as well.
    """

    learner: AnswerLearner
    rows: Sequence[Example]
    config: FinetuneConfig
    seed: int
    workers: Workers
    evaluate: Callable[[int, float], dict[str, Any] | None]
    replay: Replay | None = None
    folder: Path | None = None
    should_stop: Callable[[], bool] = lambda: False
    saved: Callable[[], None] = lambda: None
    save_last: bool = False

    def run(self) -> History:
        """Trains from the newest checkpoint to the end.

        Raises:
            Stopped: ``should_stop`` said so; all is in the checkpoint.
            TrainingDiverged: the loss is not finite.
        """
        self._checkpoints = self.folder and CheckpointFolder(
            self.folder, 1, self.workers, self.saved
        )
        epoch, history = self._resume()
        if epoch == 0:
            self._add(history, 0, float("nan"))
        while epoch < self.config.epochs:
            if self.workers.any(self.should_stop()):
                self._save(epoch, history)
                raise Stopped(f"fine-tuning stopped after epoch {epoch}")
            loss = self._train_epoch(epoch)
            epoch += 1
            self._add(history, epoch, loss)
            every = self.config.checkpoint_every
            if every and epoch % every == 0 and epoch < self.config.epochs:
                self._save(epoch, history)
        if self.save_last:
            self._save(epoch, history)
        return history

    def _train_epoch(self, epoch: int) -> float:
        """Mean loss of the epoch's steps."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))
        size, first = self.config.batch_size, epoch * self.config.steps_per_epoch(len(self.rows))
        losses = []
        for number, start in enumerate(range(0, len(order), size), start=first):
            rows = [self.rows[i] for i in order[start : start + size]]
            rows += self.replay(number) if self.replay else []
            losses.append(self.learner.answer_step(rows, number))
        return float(np.mean(losses))

    def _add(self, history: History, epoch: int, loss: float) -> None:
        found = self.evaluate(epoch, loss)
        if found is not None:
            history.append({"epoch": epoch, **found})

    def _save(self, epoch: int, history: History) -> None:
        if not self._checkpoints:
            return
        model, optimizer = self.learner.tensors(), self.learner.optimizer_tensors()
        self._checkpoints.save(Checkpoint(epoch, model, optimizer, {"history": history}))

    def _resume(self) -> tuple[int, History]:
        if not self._checkpoints:
            return 0, []
        checkpoint = self._checkpoints.load_newest()
        if checkpoint is None:
            return 0, []
        self.learner.load(checkpoint.model, checkpoint.optimizer)
        return checkpoint.step, list(checkpoint.state["history"])
