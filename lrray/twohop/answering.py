"""What a model answers and how likely it finds an answer, row by row, over all workers.

Every worker does as many forward passes as the others, for a sharded model needs all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from transformers import GenerationConfig

from lrray.training.distributed import Workers
from lrray.twohop.chat import ChatFormat, Example, prompt_batch
from lrray.twohop.losses import AnswerLosses, TokenLosses

Row = TypeVar("Row")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Answering:
    """A model that is asked.

    Args:
        model: a Hugging Face causal model, sharded where there are several workers.
        chat: its chat format.
        workers: all of them must ask alike.
        batch_size: most rows in one forward pass of one worker.
        bf16: whether to compute under bf16 autocast.
    """

    model: nn.Module
    chat: ChatFormat
    workers: Workers
    batch_size: int
    bf16: bool = False

    def losses(self, examples: Sequence[Example]) -> list[float]:
        """Mean loss of every example's answer in nats per token, end of turn included."""
        return [sum(losses) / len(losses) for losses in self.token_losses(examples)]

    def token_losses(self, examples: Sequence[Example]) -> list[TokenLosses]:
        """Losses of every example's answer, token by token."""
        with self._asking():
            return self._score(examples)

    def texts(self, prompts: Sequence[tuple[int, ...]], max_new_tokens: int) -> list[str]:
        """What the model answers to every prompt, decoding greedily."""
        return self._spread(prompts, len, lambda rows: self._texts(rows, max_new_tokens))

    @cached_property
    def _score(self) -> AnswerLosses:
        return AnswerLosses(self.model, self.chat.pad, self.workers, self.batch_size)

    def _texts(self, rows: Sequence[tuple[int, ...]], max_new_tokens: int) -> list[str]:
        tokens, mask = prompt_batch(rows, self.chat.pad, self.workers.device)
        model: Any = self.model
        generated = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=GenerationConfig(
                max_new_tokens=max_new_tokens,
                # What is not said here, the model's own settings decide.
                do_sample=False,
                num_beams=1,
                repetition_penalty=1.0,
                pad_token_id=self.chat.pad,
                eos_token_id=self._stops(),
            ),
            # A sharded model's workers go on together until the last one is done.
            synced_gpus=self.workers.world_size > 1,
        )
        return [self.chat.text(row) for row in generated[:, tokens.shape[1] :].tolist()]

    def _stops(self) -> list[int]:
        own = getattr(getattr(self.model, "generation_config", None), "eos_token_id", None)
        listed = own if isinstance(own, list) else [] if own is None else [own]
        return sorted({self.chat.end_of_turn, *listed})

    def _spread(
        self,
        rows: Sequence[Row],
        length: Callable[[Row], int],
        answer: Callable[[Sequence[Row]], list[Value]],
    ) -> list[Value]:
        """Answers of all rows, in order; each worker does a share, in batches of like length."""
        order = sorted(range(len(rows)), key=lambda i: length(rows[i]))
        size = self.workers.world_size
        # Rows are repeated until every worker has as many.
        order += (order * size)[: -len(order) % size]
        own = order[self.workers.rank :: size]
        found: dict[int, Value] = {}
        with self._asking():
            for start in range(0, len(own), self.batch_size):
                indices = own[start : start + self.batch_size]
                values = answer([rows[i] for i in indices])
                found |= dict(zip(indices, values, strict=True))
        found = self._gathered(found)
        return [found[i] for i in range(len(rows))]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        was_training = self.model.training
        self.model.eval()
        try:
            # Not inference_mode: a sharded model's tensors must stay fit for training.
            with (
                torch.no_grad(),
                torch.autocast(self.workers.device.type, torch.bfloat16, enabled=self.bf16),
            ):
                yield
        finally:
            self.model.train(was_training)

    def _gathered(self, found: dict[int, Value]) -> dict[int, Value]:
        if self.workers.world_size == 1:
            return found
        parts: list[dict[int, Value]] = [{} for _ in range(self.workers.world_size)]
        dist.all_gather_object(parts, found)
        return {index: value for part in parts for index, value in part.items()}
