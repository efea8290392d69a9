"""One experiment: a dataset, a seed and a model, from facts to the gap.

Runs alike in a plain process, under torchrun and inside a Ray worker: every worker calls it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from lrray.training.distributed import ALONE, Workers, join_workers
from lrray.training.stopping import stop_on_sigterm
from lrray.training.weights import load_tensors, saved_tensors
from lrray.twohop.answering import Answering
from lrray.twohop.chance import guessing
from lrray.twohop.chat import TEMPLATE_DATE, ChatFormat
from lrray.twohop.config import TINY_WORLD, ExperimentConfig
from lrray.twohop.controls import NO_CONTROLS
from lrray.twohop.evaluate import evaluate
from lrray.twohop.facts import Facts
from lrray.twohop.finetune import Finetuning, History, Replay
from lrray.twohop.learner import AnswerLearner, trainable
from lrray.twohop.loading import check_fits, load_chat_model, prepare
from lrray.twohop.rows import Message
from lrray.twohop.samples import SampleTable
from lrray.twohop.splits import BuildConfig, Splits
from lrray.twohop.tasks import Task, make_task
from lrray.twohop.tiny_world import TinyWorld

Log = Callable[[Mapping[str, float]], None]


def run_experiment(
    facts: Facts,
    config: ExperimentConfig,
    seed: int,
    folder: Path,
    log: Log,
    should_stop: Callable[[], bool] = lambda: False,
    keep: Callable[[dict[str, Any], Path | None], object] = lambda result, weights: None,
    saved: Callable[[], None] = lambda: None,
    keep_weights: bool = False,
) -> dict[str, Any]:
    """Fine-tunes and measures; goes on from what an earlier try left in ``folder``.

    Args:
        facts: of the dataset.
        config: how.
        seed: of people, shuffles, the tiny world and the order of rows.
        folder: keeps ``samples.jsonl`` and, until the end, checkpoints.
        log: hears every evaluation of the first worker, with ``step`` for the epoch.
        should_stop: asked before every epoch; a yes from any worker stops all.
        keep: called by the first worker with what is returned and, where they are asked for, the
            folder of the checkpoint with the weights, before that is removed.
        saved: called by the first worker when a checkpoint and all that it needs is in ``folder``.
        keep_weights: whether they are.

    Returns:
        The last evaluation's numbers; from before training the gap and the second hops; chance
        levels; and what a report needs: ``gaps`` person by person, ``losses`` of all answers at all
        questions, ``attributes``.

    Raises:
        LrrayError: anything that the user can mend.
        Stopped: SIGTERM came or ``should_stop`` said so; a checkpoint is there.
    """
    workers = join_workers(config.finetune.device)
    build = BuildConfig(seed=seed, **config.data.model_dump())
    task = make_task(config.task, facts, build)
    run = _Run(facts, build, task, config, workers, folder / f"seed_{seed}", saved)
    with stop_on_sigterm() as terminated:
        history = run.finetune(log, lambda: terminated() or should_stop(), keep_weights)
    result = {**_final(history), **_chances(task.splits), "attributes": _attributes(task.splits)}
    result |= run.notes
    if workers.is_first:
        keep(result, run.scratch if keep_weights else None)
        shutil.rmtree(run.scratch, ignore_errors=True)
    return result


def load_finetuned(facts: Facts, config: ExperimentConfig, seed: int, weights: Path) -> nn.Module:
    """The model of an experiment with the weights that it kept, in evaluation mode.

    Raises:
        LrrayError: the model cannot be had, or the weights are damaged or of another one.
    """
    build = BuildConfig(seed=seed, **config.data.model_dump())
    task = make_task(config.task, facts, build)
    model, _, _ = _Run(facts, build, task, config, ALONE, weights, lambda: None).model(False)
    model = prepare(model, config.finetune, seed)
    load_tensors(trainable(model), saved_tensors(weights))
    return model.eval()


@dataclass
class _Run:
    facts: Facts
    build: BuildConfig
    task: Task
    config: ExperimentConfig
    workers: Workers
    folder: Path
    saved: Callable[[], None]
    scratch: Path = field(init=False)
    """Weights that only a run that is not done yet needs."""
    notes: dict[str, str] = field(default_factory=dict)
    """What the result says of the model beside numbers."""

    def __post_init__(self) -> None:
        self.scratch = self.folder / "unfinished"

    def finetune(self, log: Log, should_stop: Callable[[], bool], save_last: bool) -> History:
        config, seed = self.config.finetune, self.build.seed
        model, chat, replay = self.model()
        # There first: of a large model the host may not hold every worker's float32 weights.
        model = model.to(self.workers.device)
        rows = [chat.example(messages) for messages in self.task.training]
        training = config.training(len(rows), seed)
        learner = AnswerLearner(prepare(model, config, seed), training, self.workers, chat.pad)
        batch_size = self.config.evaluate.batch_size
        asked = Answering(learner.model, chat, self.workers, batch_size, learner.bf16)
        return Finetuning(
            learner, rows, config, seed, self.workers,
            evaluate=lambda epoch, loss: self._evaluate(asked, epoch, loss, log),
            replay=replay, folder=self.scratch, should_stop=should_stop, saved=self.saved,
            save_last=save_last,
        ).run()  # fmt: skip

    def model(self, teach: bool = True) -> tuple[Any, ChatFormat, Replay | None]:
        if self.config.model != TINY_WORLD:
            model, chat = load_chat_model(self.config.model)
            asked = self.config.evaluate
            new_tokens = max(asked.max_new_tokens, asked.max_new_tokens_cot)
            check_fits(model, chat, self._chats(), new_tokens)
            self.notes = {"template_date": f"{TEMPLATE_DATE:%Y-%m-%d}"} if chat.writes_date else {}
            return model, chat, None
        task, config = self.task, self.config.tiny_world
        world = TinyWorld(self.facts, self.build, config, task.known, task.names)
        if teach:
            world.teach(self.scratch, self.workers)
            if self.workers.is_first:
                self.saved()
        count = self.config.finetune.replay_rows
        return world.model, world.chat, lambda step: world.replay(count, step)

    def _chats(self) -> list[list[Message]]:
        """All chats that the model is to learn or to be asked."""
        splits = self.task.splits
        rows = [*splits.first_hop, *self.task.controls.context, *self.task.controls.worked]
        for one in splits.attributes.values():
            rows += [*one.nocot, *one.cot, *one.second_hop]
        return [*map(list, self.task.training), *(row["messages"] for row in rows)]

    def _evaluate(
        self, asked: Answering, epoch: int, loss: float, log: Log
    ) -> dict[str, Any] | None:
        config, epochs = self.config.evaluate, self.config.finetune.epochs
        at_an_end = epoch in (0, epochs)
        if not at_an_end and epoch % config.every:
            return None
        generate = at_an_end or epoch % config.generate_every == 0
        found = evaluate(
            asked, self.task.splits, config, generate=generate, second_hop=at_an_end,
            controls=self.task.controls if epoch == epochs else NO_CONTROLS,
        )  # fmt: skip
        metrics = dict(found.metrics) if epoch == 0 else {**found.metrics, "train_loss": loss}
        log({"step": epoch, **metrics})
        if generate and self.workers.is_first:
            SampleTable(self.folder / "samples.jsonl").add(epoch, found.samples)
        kept: dict[str, Any] = {"metrics": metrics, "gaps": found.gaps}
        if at_an_end:
            kept["losses"] = {name: own.to_plain() for name, own in found.matrices.items()}
        return kept


def _final(history: History) -> dict[str, Any]:
    before, after = history[0]["metrics"], history[-1]["metrics"]
    known = {
        name.replace("acc_second_hop", "acc_second_hop_before"): value
        for name, value in before.items()
        if name.startswith("acc_second_hop")
    }
    untrained = {
        name.replace("gap_2hop", "gap_2hop_before"): value
        for name, value in before.items()
        if name.startswith("gap_2hop")
    }
    kept = {name: history[-1][name] for name in ("gaps", "losses")}
    return {**after, **known, **untrained, **kept}


def _chances(splits: Splits) -> dict[str, float]:
    levels = {name: guessing(split) for name, split in splits.attributes.items()}
    found = {}
    for name, (other_person, commonest) in levels.items():
        found[f"chance_2hop_{name}"] = other_person
        found[f"commonest_2hop_{name}"] = commonest
    means = (sum(column) / len(levels) for column in zip(*levels.values(), strict=True))
    return {**found, **dict(zip(("chance_2hop", "commonest_2hop"), means, strict=True))}


def _attributes(splits: Splits) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "category": split.nocot[0]["category"],
            "people": len(split.nocot),
            "fixed_points": sum(
                r["fixed_point"] for r in split.nocot_shuffled if r["shuffle"] == 1
            ),
        }
        for name, split in splits.attributes.items()
    }
