"""One fine-tuning step: loss on the answers alone, whoever the workers are.

Axis letters: B row, T token, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lrray.training.config import TrainConfig
from lrray.training.distributed import Workers
from lrray.training.errors import TrainingDiverged
from lrray.training.learner import Learner
from lrray.training.schedule import learning_rate
from lrray.twohop.chat import IGNORED, Batch, Example, training_batch
from lrray.twohop.logits import logits_at


def token_losses(model: nn.Module, batch: Batch) -> Tensor:
    """Loss in nats of every answer token, 0 elsewhere: ``[B, T - 1]``."""
    labels = batch.labels[:, 1:]
    answers = (labels != IGNORED).nonzero(as_tuple=True)
    logits, _ = logits_at(
        model, answers, input_ids=batch.tokens, attention_mask=batch.mask, use_cache=False
    )
    losses = cross_entropy(logits, labels[answers], reduction="none")
    return losses.new_zeros(labels.shape).index_put(answers, losses)


class AnswerLearner(Learner):
    """The training core's learner, for chats of different lengths.

    Every answer token of a step weighs the same, however rows fall on workers and micro-batches.

    Args:
        model: a Hugging Face causal model; its adapters, if any, are inside it.
        config: of the run.
        workers: all of them must make this together.
        pad: the padding token.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, workers: Workers, pad: int) -> None:
        super().__init__(model, config, workers)
        self._pad = pad

    def answer_step(self, rows: Sequence[Example], number: int) -> float:
        """Does optimizer step ``number`` (from 0) on ``rows``, the same list in every worker.

        Returns:
            The step's mean loss in nats per answer token.

        Raises:
            TrainingDiverged: the loss is not finite.
        """
        workers = self._workers
        torch.manual_seed(_seed(self.config.model_seed, number, workers.rank))
        num_tokens = sum(len(row.answer) for row in rows)
        total = torch.zeros((), device=workers.device)
        parts = self._parts(rows)
        for index, part in enumerate(parts):
            with self._exchange_gradients(index == len(parts) - 1):
                loss = self._summed_loss(part) / num_tokens
                # Workers average their gradients, where the step needs their sum.
                (loss * workers.world_size).backward()
            total += loss.detach()
        self._clip()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, number)
        self.optimizer.step()
        self.optimizer.zero_grad()
        mean = float(workers.sum(total))
        if not math.isfinite(mean):
            raise TrainingDiverged(number + 1, mean)
        return mean

    def _parts(self, rows: Sequence[Example]) -> list[Sequence[Example]]:
        """This worker's rows in micro-batches; as many in every worker, for they meet in each."""
        rank, size = self._workers.rank, self._workers.world_size
        without_loss = Example(rows[0].prompt, ())
        own = [*rows[rank::size]]
        own += [without_loss] * (-(-len(rows) // size) - len(own))
        own.sort(key=lambda row: len(row.prompt) + len(row.answer))  # less padding in each part
        width = self.config.micro_batch_size or len(own)
        return [own[start : start + width] for start in range(0, len(own), width)]

    def _summed_loss(self, part: Sequence[Example]) -> Tensor:
        batch = training_batch(part, self._pad, self._workers.device)
        with torch.autocast(self._workers.device.type, torch.bfloat16, enabled=self.bf16):
            return token_losses(self._parallel, batch).sum()

    def tensors(self) -> dict[str, Tensor]:
        """Values of what is trained."""
        return trainable(self.model)


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """Values of what is trained, by name: a base model under adapters stays out."""
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def _seed(*parts: int) -> int:
    """One seed for a step's dropout: the same when the step is done again."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
