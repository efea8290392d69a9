"""Chats as tokens, by the tokenizer's own template: what a model reads and what it is to answer.

Axis letters: B row, T token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lrray.errors import LrrayError
from lrray.twohop.rows import Message

IGNORED = -100
"""Label of tokens that carry no loss."""

TEMPLATE_DATE = datetime(2024, 7, 26)
"""Today, for templates that write the date: cells must not depend on the day they run."""


@dataclass(frozen=True)
class Example:
    """One chat: the tokens before the answer, and the answer with its end of turn."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


_Turns = tuple[tuple[str, str], ...]
"""Role and content of each message."""

_MOST_KEPT = 2**16


def _turns(messages: Sequence[Message]) -> _Turns:
    return tuple((message["role"], message["content"]) for message in messages)


def _messages(turns: _Turns) -> list[Message]:
    return [{"role": role, "content": content} for role, content in turns]


_DATE_CALL = re.compile(r"""\bstrftime_now\(\s*(?:format\s*=\s*)?(["'])(.*?)\1\s*\)""")


def _with_frozen_date(template: str, where: str) -> str:
    frozen = _DATE_CALL.sub(lambda call: repr(TEMPLATE_DATE.strftime(call[2])), template)
    if re.search(r"\bstrftime_now\s*\(", frozen):
        raise LrrayError(
            f"{where}: chat template", "depends on today's date in a way that cannot be frozen",
            fix="write a date into the tokenizer's chat_template, and save it to a folder",
        )  # fmt: skip
    return frozen


class ChatFormat:
    """A tokenizer with its chat template; nothing here knows a family of models.

    Args:
        tokenizer: a Hugging Face tokenizer.
        where: opens error lines, usually the model's name.

    Raises:
        LrrayError: no chat template, one that depends on the day, or no token that ends a turn.
    """

    def __init__(self, tokenizer: Any, where: str) -> None:
        self.tokenizer, self.where = tokenizer, where
        if not getattr(tokenizer, "chat_template", None):
            raise LrrayError(
                where, "its tokenizer has no chat template",
                fix="name the chat ('Instruct') variant of the model, or set the tokenizer's"
                " chat_template and save both to a folder",
            )  # fmt: skip
        template = str(tokenizer.get_chat_template())
        self._template = _with_frozen_date(template, where)
        self.writes_date = self._template != template
        """Whether its template writes today's date, for which :data:`TEMPLATE_DATE` stands."""
        self.end_of_turn = self._find_end_of_turn()
        pad = tokenizer.pad_token_id
        self.pad: int = self.end_of_turn if pad is None else int(pad)
        # A template is a slow program, and the same chats are wanted again and again.
        self._prompt = lru_cache(_MOST_KEPT)(self._make_prompt)
        self._example = lru_cache(_MOST_KEPT)(self._make_example)

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Tokens of everything before the last message, which a model is then to write."""
        return self._prompt(_turns(messages[:-1]))

    def example(self, messages: Sequence[Message]) -> Example:
        """The chat for training: as it is asked when generating, then answer and end of turn."""
        return self._example(_turns(messages))

    def _make_prompt(self, turns: _Turns) -> tuple[int, ...]:
        return self._tokens(self._render(_messages(turns), ask=True))

    def _make_example(self, turns: _Turns) -> Example:
        messages = _messages(turns)
        lead, _ = self._around_answer(messages)
        answer = self._tokens(lead + messages[-1]["content"])
        return Example(self.prompt(messages), (*answer, self.end_of_turn))

    def text(self, tokens: Sequence[int]) -> str:
        """Generated tokens up to the first special one, as text."""
        special = {*self.tokenizer.all_special_ids, self.end_of_turn}
        kept = next((i for i, token in enumerate(tokens) if token in special), len(tokens))
        return str(self.tokenizer.decode(tokens[:kept])).strip()

    def _find_end_of_turn(self) -> int:
        _, after = self._around_answer(
            [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There"}]
        )
        tokens = self._tokens(after.lstrip())
        # Of a plain token, say a line break, a model could not learn that its turn is over.
        if tokens and tokens[0] in self.tokenizer.get_added_vocab().values():
            return tokens[0]
        if self.tokenizer.eos_token_id is None:
            raise LrrayError(
                self.where, "neither its chat template nor its tokenizer ends a turn",
                fix="set the tokenizer's eos_token",
            )  # fmt: skip
        return int(self.tokenizer.eos_token_id)

    def _around_answer(self, messages: Sequence[Message]) -> tuple[str, str]:
        """What the template writes between the request to answer and the answer, and after it."""
        asked, whole = self._render(messages[:-1], ask=True), self._render(messages)
        lead, answer, after = whole[len(asked) :].partition(messages[-1]["content"])
        if not whole.startswith(asked) or lead.strip() or not answer:
            raise LrrayError(
                f"{self.where}: chat template",
                "must write an answer right where add_generation_prompt asks for it",
                fix="mend the tokenizer's chat_template",
            )
        return lead, after

    def _render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        try:
            # Templates that know no thinking mode ignore the variable.
            text = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=ask, enable_thinking=False,
                chat_template=self._template,
            )  # fmt: skip
        except Exception as error:  # whatever a template raises: it is a program of its own
            raise LrrayError(
                f"{self.where}: chat template", f"refuses these messages: {error}",
                fix="leave out the system messages: set data.prompts to '' where that is it",
            ) from None  # fmt: skip
        return str(text)

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])


@dataclass(frozen=True)
class Batch:
    """Chats of different lengths, padded on the right."""

    tokens: Tensor
    """``[B, T]``."""
    mask: Tensor
    """``[B, T]``: 1 at tokens, 0 at padding."""
    labels: Tensor
    """``[B, T]``: the answer's tokens, :data:`IGNORED` elsewhere."""


def training_batch(rows: Sequence[Example], pad: int, device: torch.device) -> Batch:
    """Pads whole chats on the right."""
    length = max(len(row.prompt) + len(row.answer) for row in rows)
    tokens = torch.full((len(rows), length), pad)
    mask, labels = torch.zeros_like(tokens), torch.full_like(tokens, IGNORED)
    for i, row in enumerate(rows):
        end = len(row.prompt) + len(row.answer)
        tokens[i, :end] = torch.tensor(row.prompt + row.answer)
        mask[i, :end] = 1
        labels[i, len(row.prompt) : end] = torch.tensor(row.answer)
    return Batch(tokens.to(device), mask.to(device), labels.to(device))


def prompt_batch(
    prompts: Sequence[tuple[int, ...]], pad: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Prompts padded on the left, where generation goes on: tokens and mask ``[B, T]``."""
    length = max(map(len, prompts))
    tokens = torch.full((len(prompts), length), pad)
    mask = torch.zeros_like(tokens)
    for i, prompt in enumerate(prompts):
        tokens[i, length - len(prompt) :] = torch.tensor(prompt)
        mask[i, length - len(prompt) :] = 1
    return tokens.to(device), mask.to(device)
