"""Training a model on a GSSM: in a plain process, under torchrun or inside a Ray worker.

Nothing here knows who started the process: reports leave through one callback, requests to stop
come in through another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lrray.errors import LrrayError
from lrray.gssm import SequenceModel
from lrray.training.best import BestStep
from lrray.training.branch import Branch
from lrray.training.checkpoint import Checkpoint, CheckpointFolder, SavedCheckpoint
from lrray.training.checks import check_run
from lrray.training.compiling import compile_cache, decided
from lrray.training.config import TrainConfig
from lrray.training.dataset import open_source
from lrray.training.distributed import Workers, join_workers
from lrray.training.errors import TrainingDiverged, require_finite
from lrray.training.evaluate import Evaluation, evaluate
from lrray.training.heldout import Heldout, make_heldout, validation_tokens
from lrray.training.identity import check_identity, identity_without_length, run_identity
from lrray.training.learner import Learner
from lrray.training.meter import Meter
from lrray.training.prefetch import Prefetcher
from lrray.training.progress import Displays, Report
from lrray.training.schedule import learning_rate, num_shared_steps
from lrray.training.stopping import stop_on_sigterm
from lrray.training.streams import TokenSource

_ASK_EVERY = 4
"""Steps between two questions to several workers whether to stop: each makes them wait for their
GPUs. Few, since whoever stops a study waits a short time for checkpoints."""
MakeLearner = Callable[[nn.Module, TrainConfig, Workers], Learner]


@dataclass(frozen=True)
class TrainResult:
    """How a run ended."""

    step: int
    """Optimizer steps done."""
    seconds: float
    """That these took, evaluations included, over all parts of a resumed run."""
    finished: bool
    """Whether these are all; false after SIGTERM or ``should_stop``."""
    metrics: dict[str, Any]
    """The newest value of everything that was reported."""
    evaluation: Evaluation | None
    """On the held-out set, at the end; none for a stopped run."""
    best: BestStep | None
    """Of all that were evaluated; none where only the end is."""
    checkpoint: Path | None
    """The last one that this run wrote."""


def train(
    model: nn.Module,
    gssm: SequenceModel,
    config: TrainConfig,
    *,
    run_dir: Path | None = None,
    dataset: Path | None = None,
    cache_dir: Path | None = None,
    report: Report | None = None,
    should_stop: Callable[[], bool] | None = None,
    saved: Callable[[], None] = lambda: None,
    progress: bool = False,
    tensorboard: bool = False,
    branch: Branch | None = None,
    make_learner: MakeLearner = Learner,
) -> TrainResult:
    """Trains a model in place; goes on from the newest sound checkpoint in ``run_dir``.

    With several workers every one calls this alike; see :func:`lrray.training.distributed
    .join_workers` for how they find each other.

    Args:
        model: tokens ``[B, T]`` to logits ``[B, T, V]``, the same initial weights in all workers.
        gssm: whose tokens to learn, a GSSM or one of its Markov surrogates.
        config: how.
        run_dir: where checkpoints and event files go; none: nothing is kept.
        dataset: the HDF5 file of a run with ``num_train_sequences``.
        cache_dir: where exact bounds and compiled code are kept for further runs.
        report: called in every worker with the same numbers: training losses each ``log_every``
            steps, evaluations each ``eval_every`` steps and at the end.
        should_stop: asked before every step, with several workers before every fourth; a yes from
            any worker stops all of them.
        saved: called in the first worker after every checkpoint, when ``run_dir`` is whole.
        progress: whether to draw a bar on a terminal.
        tensorboard: whether to write event files to ``run_dir``.
        branch: where a run of fewer steps may have left a checkpoint to begin with.
        make_learner: makes what takes the steps; see :class:`lrray.training.packing.Pack`.

    Returns:
        How the run ended; a stopped one has written a checkpoint and goes on when called again.

    Raises:
        LrrayError: before any work: settings that do not fit each other, the workers, the device,
            the data file or the checkpoint.
        TrainingDiverged: a loss, the gradient or the weights are not finite any more.
    """
    workers = join_workers(config.device)
    check_run(config, workers, run_dir, dataset, tensorboard)
    with stop_on_sigterm() as terminated, compile_cache(config, cache_dir):
        config = decided(model, config, gssm.vocab_size, workers, cache_dir)
        source = open_source(gssm, config, dataset)
        folder = (
            CheckpointFolder(run_dir / "checkpoints", config.keep_last, workers, saved)
            if run_dir is not None
            else None
        )
        run = _Run(make_learner(model, config, workers), gssm, config, workers, folder, branch)
        events = run_dir / "tensorboard" if run_dir and tensorboard and workers.is_first else None
        bar = progress and workers.is_first
        with Displays(report, bar, events, run.step, config.num_steps) as run.displays:
            num_sequences = config.eval_sequences
            run.heldout = make_heldout(gssm, num_sequences, config.seq_len, cache_dir, workers)
            if config.eval_every and config.num_train_sequences:
                run.validation = Heldout(
                    validation_tokens(gssm, num_sequences, config.seq_len), bound_nats=None
                )
            return run.to_end(source, lambda: terminated() or bool(should_stop and should_stop()))


class _Run:
    """A run between two steps."""

    displays: Displays
    heldout: Heldout
    validation: Heldout | None = None
    """Chooses the best step of finite data; none where only the end is evaluated."""

    def __init__(
        self,
        learner: Learner,
        gssm: SequenceModel,
        config: TrainConfig,
        workers: Workers,
        folder: CheckpointFolder | None,
        branch: Branch | None,
    ) -> None:
        self._learner, self._config = learner, config
        self._workers, self._folder, self._branch = workers, folder, branch
        self._identity = run_identity(gssm, config)
        self._shared_identity = identity_without_length(gssm, config)
        self._metrics: dict[str, Any] = {}
        self._evaluation: tuple[int, Evaluation] | None = None
        self._best: BestStep | None = None
        self._saved: tuple[int, Path | None] | None = None
        self.step = 0
        self._began, self._earlier_s = time.perf_counter(), 0.0
        self._pending_nats = self._resume()

    def to_end(self, source: TokenSource, stop: Callable[[], bool]) -> TrainResult:
        """Trains until all steps are done or ``stop`` says so, then saves and evaluates."""
        workers, batch_size = self._workers, self._config.batch_size
        self._meter = Meter(workers, self._pending_nats)
        with Prefetcher(source, batch_size, workers.rank, workers.world_size, self.step) as batches:
            finished = self._steps(batches, stop)
        if self._folder and (self._saved is None or self._saved[0] != self.step):
            self._save()
        if finished and (self._evaluation is None or self._evaluation[0] != self.step):
            self._evaluate()
        return TrainResult(
            step=self.step,
            seconds=self._seconds(),
            finished=finished,
            metrics=self._metrics,
            evaluation=self._evaluation[1] if finished and self._evaluation else None,
            best=self._best,
            checkpoint=self._saved[1] if self._saved else None,
        )

    def _steps(self, batches: Prefetcher, stop: Callable[[], bool]) -> bool:
        """Whether the last step was reached, rather than a request to stop."""
        config = self._config
        while self.step < config.num_steps:
            if self._asked_to_stop(stop):
                return False
            tokens = torch.from_numpy(batches.next()).to(self._workers.device)
            self._meter.add(*self._learner.step(tokens, self.step))
            self.step += 1
            if self.step % config.log_every == 0 or self.step == config.num_steps:
                self._report_training(batches.wait_s)
            if config.eval_every and self.step % config.eval_every == 0:
                self._evaluate()
            if config.checkpoint_every and self.step % config.checkpoint_every == 0:
                self._save()
            if self.step == num_shared_steps(config):
                self._leave_branch()
        return True

    def _asked_to_stop(self, stop: Callable[[], bool]) -> bool:
        alone = self._workers.world_size == 1
        return (alone or self.step % _ASK_EVERY == 0) and self._workers.any(stop())

    def _report_training(self, wait_s: float) -> None:
        config = self._config
        measured = self._meter.report(self.step, config.batch_size * config.seq_len, wait_s)
        self._report({**measured, "learning_rate": learning_rate(config, self.step - 1)})

    def _evaluate(self) -> None:
        with self._meter.paused():
            evaluation = self._evaluated(self.heldout)
            require_finite(self.step, evaluation.loss_bits, "held-out loss")
            self._evaluation = (self.step, evaluation)
            metrics = evaluation.metrics()
            loss_bits = evaluation.loss_bits
            if self.validation is not None:
                loss_bits = self._evaluated(self.validation).loss_bits
                metrics["validation_loss_bits"] = loss_bits
            if self._config.eval_every:
                self._best = BestStep.better(self._best, self.step, loss_bits, evaluation)
            self._report(metrics)

    def _evaluated(self, sequences: Heldout) -> Evaluation:
        learner, size = self._learner, self._config.eval_batch_size
        return evaluate(learner.model, sequences, self._workers, size, learner.bf16)

    def _report(self, metrics: dict[str, Any]) -> None:
        num_sequences = self.step * self._config.batch_size
        position: dict[str, Any] = {
            "step": self.step,
            "tokens": num_sequences * self._config.seq_len,
        }
        if self._config.num_train_sequences:
            position["epoch"] = num_sequences / self._config.num_train_sequences
        self._metrics |= {**position, **metrics}
        self.displays.show({**position, **metrics})

    def _save(self) -> None:
        """Writes a checkpoint, all workers together."""
        assert self._folder is not None  # settings with checkpoint_every but no folder are refused
        self._saved = (self.step, self._save_to(self._folder, self._identity))

    def _leave_branch(self) -> None:
        """Leaves a checkpoint to longer runs, all workers together."""
        if self._branch is not None and self._branch.leave:
            every = CheckpointFolder(self._branch.folder, self.step, self._workers)
            self._save_to(every, self._shared_identity)

    def _save_to(self, folder: CheckpointFolder, identity: dict[str, Any]) -> Path:
        with self._meter.paused():
            pending_nats = self._meter.pending_nats(self.step)
            learner = self._learner
            if not learner.is_finite():  # the last update is in no loss yet
                raise TrainingDiverged(self.step, math.nan, "weights after the update")
            model, optimizer = learner.tensors(), learner.optimizer_tensors()
            state = {"run": identity, "pending_nats": pending_nats, "seconds": self._seconds()}
            state["best"] = None if self._best is None else self._best.state()
            return folder.save(Checkpoint(self.step, model, optimizer, state))

    def _seconds(self) -> float:
        return self._earlier_s + time.perf_counter() - self._began

    def _resume(self) -> list[float]:
        """Takes over the newest checkpoint; returns the losses it had not reported yet."""
        checkpoint = None if self._folder is None else self._folder.load_newest()
        if self._folder is None or checkpoint is None:
            return self._continue_branch()
        check_identity(self._folder.path, checkpoint.state.get("run", {}), self._identity)
        if checkpoint.step > self._config.num_steps:
            raise LrrayError(
                f"{self._folder.path}: steps",
                f"the newest checkpoint has done {checkpoint.step} steps",
                got=self._config.num_steps, fix="ask for as many or more, or use another folder",
            )  # fmt: skip
        self._saved = (checkpoint.step, None)
        return self._take_over(checkpoint)

    def _continue_branch(self) -> list[float]:
        """The same with what a shorter run has left."""
        if self._branch is None:
            return []
        every = CheckpointFolder(self._branch.folder, self._config.num_steps, self._workers)
        checkpoint = every.load_newest(at_most=num_shared_steps(self._config))
        if checkpoint is None:
            return []
        check_identity(every.path, checkpoint.state.get("run", {}), self._shared_identity)
        pending_nats = self._take_over(checkpoint)
        self._branch.continued(self.step)
        return pending_nats

    def _take_over(self, checkpoint: SavedCheckpoint) -> list[float]:
        self._learner.load(checkpoint.model, checkpoint.optimizer)
        self.step = checkpoint.step
        self._earlier_s = float(checkpoint.state.get("seconds", 0.0))
        self._best = BestStep.restored(checkpoint.state.get("best"))
        return list(checkpoint.state["pending_nats"])
