"""Losses of answers with shared prompts and a head at answers alone, against whole chats."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from lrray.training.distributed import ALONE
from lrray.twohop.chat import Example, training_batch
from lrray.twohop.learner import token_losses
from lrray.twohop.losses import AnswerLosses

SIZES = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1,
}  # fmt: skip

FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "sliding window": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=6)),
    "capped logits": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SIZES, head_dim=16, final_logit_softcapping=2.0, sliding_window=6)
    ),
    "learned positions": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2)
    ),
    "no keys and values": lambda: MambaForCausalLM(
        MambaConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, state_size=4)
    ),
}


def made(family: str) -> nn.Module:
    torch.manual_seed(0)
    model = FAMILIES[family]()
    with torch.no_grad():  # fresh weights answer nearly alike to everything
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return model.eval()


def examples() -> list[Example]:
    """Prompts of three lengths with four answers each, and one with a single answer."""
    draw = torch.Generator().manual_seed(1)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(1, 50, (count,), generator=draw).tolist())

    prompts = [tokens(length) for length in (9, 12, 9, 15)]
    rows = [Example(prompt, tokens(n)) for n in (1, 5, 2, 3) for prompt in prompts]
    return [*rows, Example(tokens(11), tokens(4))]


def one_by_one(model: nn.Module, rows: list[Example]) -> list[list[float]]:
    """Each chat alone, every logit computed: no padding, no cache, nothing picked."""
    found = []
    for row in rows:
        tokens = torch.tensor([[*row.prompt, *row.answer]])
        with torch.no_grad():
            scores = log_softmax(model(tokens, use_cache=False).logits[0].float(), dim=-1)
        first = len(row.prompt) - 1
        found.append([-float(scores[first + i, token]) for i, token in enumerate(row.answer)])
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("family", FAMILIES)
def test_shared_prompts_give_the_losses_of_whole_chats(family: str, batch_size: int) -> None:
    model, rows = made(family), examples()
    score = AnswerLosses(model, 0, ALONE, batch_size)
    with torch.no_grad():
        losses = score(rows)
    for found, wanted in zip(losses, one_by_one(model, rows), strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)
    assert score.shares is (family != "no keys and values")


def test_a_cache_that_is_not_what_it_seems_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = made("llama"), examples()
    score = AnswerLosses(model, 0, ALONE, 8)
    right = score._shared
    monkeypatch.setattr(
        score, "_shared", lambda groups: [[2 * loss for loss in own] for own in right(groups)]
    )
    with torch.no_grad():
        losses = score(rows)
    assert not score.shares
    for found, wanted in zip(losses, one_by_one(model, rows), strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)


def test_prompts_are_read_once_and_the_head_sees_answers_alone() -> None:
    model, rows = made("llama"), examples()
    seen = {"body": 0, "head": 0}
    model.get_input_embeddings().register_forward_hook(
        lambda _, inputs, __: seen.update(body=seen["body"] + inputs[0].numel())
    )
    model.get_output_embeddings().register_forward_hook(
        lambda _, __, logits: seen.update(head=seen["head"] + logits.shape[:-1].numel())
    )
    score = AnswerLosses(model, 0, ALONE, 64)
    with torch.no_grad():
        score(rows)
        seen.update(body=0, head=0)
        score(rows)
    prompts = {row.prompt for row in rows}
    read = sum(map(len, prompts)) + sum(len(row.answer) for row in rows)
    assert seen["body"] <= read + 20  # padding of answers
    # A prompt's last position predicts the first token of all its answers.
    first = len(prompts)
    assert seen["head"] <= first + sum(len(row.answer) for row in rows)


def test_gradients_are_those_of_a_head_that_sees_everything() -> None:
    model, rows = made("llama"), examples()
    batch = training_batch(rows, 0, ALONE.device)
    token_losses(model, batch).sum().backward()
    picked = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    logits = model(input_ids=batch.tokens, attention_mask=batch.mask).logits[:, :-1]
    nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.labels[:, 1:].flatten(), reduction="sum"
    ).backward()
    for found, parameter in zip(picked, model.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad, rtol=1e-4, atol=1e-5)
