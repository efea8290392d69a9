"""How likely a model finds answers, token by token.

Answers to one prompt share its forward pass: the prompt's keys and values are computed once and
repeated for every answer. Where a model has no such cache, whole chats are scored.

Axis letters: P prompt, R row (an answer to a prompt), S prompt token, A answer token, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from lrray.training.distributed import Workers
from lrray.twohop.chat import Example, training_batch
from lrray.twohop.learner import token_losses
from lrray.twohop.logits import logits_at

TokenLosses = list[float]
"""Nats of every token of one answer, its end of turn included."""

Group = list[int]
"""Numbers of the examples that have one prompt."""

_TOLERANCE, _TOLERANCE_LOW = 1e-3, 0.1
"""By how many nats a token's loss may differ between both ways, in float32 and in less: a model
whose cache is not what it seems is off by far more."""


@dataclass
class AnswerLosses:
    """Scores answers; every worker does as many forward passes as the others.

    Args:
        model: a Hugging Face causal model, sharded where there are several workers.
        pad: the padding token.
        workers: all of them must call alike.
        batch_size: most rows in one forward pass of one worker.
    """

    model: nn.Module
    pad: int
    workers: Workers
    batch_size: int
    shares: bool | None = field(default=None, init=False)
    """Whether prompts are shared, for the model's cache does what it should; None: not tried."""

    def __call__(self, examples: Sequence[Example]) -> list[TokenLosses]:
        """Losses of every example's answer, in order."""
        groups = _by_prompt(examples)
        several = [group for group in groups if len(group) > 1]
        if several and self.shares is None:
            self.shares = self._sharing_changes_nothing([examples[i] for i in several[0][:2]])
        alone = [i for group in groups for i in group if not self.shares or len(group) == 1]
        width = max(1, min(self.batch_size, -(-len(examples) // self.workers.world_size)))
        alone.sort(key=lambda i: len(examples[i].prompt) + len(examples[i].answer))
        whole = [[alone[start : start + width]] for start in range(0, len(alone), width)]
        found = self._spread(examples, whole, self._whole)
        if self.shares:
            found |= self._spread(examples, _batches(examples, several, width), self._shared)
        return [found[i] for i in range(len(examples))]

    def _spread(
        self,
        examples: Sequence[Example],
        batches: Sequence[Sequence[Group]],
        score: Callable[[Sequence[Sequence[Example]]], list[TokenLosses]],
    ) -> dict[int, TokenLosses]:
        """Losses by number of the example; each worker does a share of the batches."""
        size = self.workers.world_size
        # Batches are repeated until every worker has as many.
        own = [*batches, *(list(batches) * size)[: -len(batches) % size]][self.workers.rank :: size]
        found: dict[int, TokenLosses] = {}
        for batch in own:
            losses = score([[examples[i] for i in group] for group in batch])
            found |= dict(zip(chain.from_iterable(batch), losses, strict=True))
        parts: list[dict[int, TokenLosses]] = self.workers.gather(found)
        return {index: losses for part in parts for index, losses in part.items()}

    def _whole(self, groups: Sequence[Sequence[Example]]) -> list[TokenLosses]:
        """Scores chats, padded on the right."""
        rows = list(chain.from_iterable(groups))
        losses = token_losses(self.model, training_batch(rows, self.pad, self.workers.device))
        return [
            own[len(row.prompt) - 1 : len(row.prompt) + len(row.answer) - 1]
            for row, own in zip(rows, losses.tolist(), strict=True)
        ]

    def _shared(self, groups: Sequence[Sequence[Example]]) -> list[TokenLosses]:
        """Scores answers to prompts of one length: first the prompts, then what follows them."""
        device = self.workers.device
        prompts = torch.tensor([group[0].prompt for group in groups], device=device)  # [P, S]
        rows = list(chain.from_iterable(groups))
        of_row = [p for p, group in enumerate(groups) for _ in group]
        owners = torch.tensor(of_row, device=device)  # [R]
        last = torch.full((len(groups),), prompts.shape[1] - 1, device=device)
        first, outputs = logits_at(
            self.model, (torch.arange(len(groups), device=device), last),
            input_ids=prompts, attention_mask=torch.ones_like(prompts), use_cache=True,
        )  # fmt: skip
        cache: Any = outputs.past_key_values
        cache.batch_select_indices(owners)
        # Of an answer's tokens all but the last one are read, each to predict the next.
        read = _padded([row.answer[:-1] for row in rows], self.pad, device)
        mask = _padded([(1,) * (len(row.answer) - 1) for row in rows], 0, device)
        where = mask.nonzero(as_tuple=True)
        later, _ = logits_at(
            self.model, where, input_ids=read, past_key_values=cache, use_cache=True,
            attention_mask=torch.cat([torch.ones_like(prompts)[owners], mask], dim=1),
        )  # fmt: skip
        return _losses_of(rows, first[owners], later, device)

    def _sharing_changes_nothing(self, rows: Sequence[Example]) -> bool:
        """Whether both ways agree on a few answers to one prompt; all workers try the same."""
        whole = self._whole([rows])
        try:
            shared = self._shared([rows])
        except (
            AttributeError,
            IndexError,
            NotImplementedError,
            RuntimeError,
            TypeError,
            ValueError,
        ):
            agree = False  # there is no cache, or one of another make
        else:
            kinds = {parameter.dtype for parameter in self.model.parameters()}
            is_exact = kinds == {torch.float32} and not torch.is_autocast_enabled(
                self.workers.device.type
            )
            bound = _TOLERANCE if is_exact else _TOLERANCE_LOW
            pairs = zip(chain(*whole), chain(*shared), strict=True)
            agree = all(abs(a - b) <= bound for a, b in pairs)
        return not self.workers.any(not agree)


def _by_prompt(examples: Sequence[Example]) -> list[Group]:
    """Examples of one prompt each; prompts of one length lie side by side."""
    groups: dict[tuple[int, ...], Group] = {}
    for i, example in enumerate(examples):
        groups.setdefault(example.prompt, []).append(i)
    return [groups[prompt] for prompt in sorted(groups, key=len)]


def _batches(examples: Sequence[Example], groups: Sequence[Group], width: int) -> list[list[Group]]:
    """Groups side by side up to ``width`` rows, their prompts of one length; larger ones in parts.

    Prompts of one length need no padding, which not every model ignores in the middle of a row.
    """
    batches: list[list[Group]] = []
    for _, alike in groupby(groups, key=lambda group: len(examples[group[0]].prompt)):
        batch: list[Group] = []
        for part in _parts(alike, width):
            if batch and sum(map(len, batch)) + len(part) > width:
                batches.append(batch)
                batch = []
            batch.append(part)
        batches.append(batch)
    return batches


def _parts(groups: Iterable[Group], width: int) -> Iterable[Group]:
    return (group[s : s + width] for group in groups for s in range(0, len(group), width))


def _padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> Tensor:
    """``[R, A]``, padded on the right; of one column at least, for all workers do each pass."""
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    padded = pad_sequence(tensors, batch_first=True, padding_value=pad)
    if padded.shape[1] == 0:
        padded = torch.full((len(rows), 1), pad)
    return padded.to(device)


def _losses_of(
    rows: Sequence[Example], first: Tensor, later: Tensor, device: torch.device
) -> list[TokenLosses]:
    """Losses of each row from the logits of first tokens ``[R, V]`` and of all later ones."""
    firsts = torch.tensor([row.answer[0] for row in rows], device=device)
    laters = torch.tensor([token for row in rows for token in row.answer[1:]], device=device)
    begin = cross_entropy(first, firsts, reduction="none").tolist()
    rest = iter(cross_entropy(later, laters.long(), reduction="none").tolist())
    return [
        [loss, *(next(rest) for _ in row.answer[1:])] for row, loss in zip(rows, begin, strict=True)
    ]
