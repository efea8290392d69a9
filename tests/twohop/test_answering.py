"""Losses row by row and batched greedy generation, against one row at a time."""

import pytest
import torch
from torch.nn.functional import log_softmax

from lrray.training.distributed import Workers
from lrray.twohop.answering import Answering
from lrray.twohop.chat import ChatFormat
from lrray.twohop.rows import chat
from tests.twohop.tokenizers import make_model, make_tokenizer

ALONE = Workers(0, 1, torch.device("cpu"))
QUESTIONS = ["Who?", "Which park does Alvo Tarnwick work at?", "Where is Zion National Park?", "Up"]


@pytest.fixture(params=["llama", "qwen"])
def ask(request):
    """Makes something that asks, with a batch size; its model is the same each time."""
    tokenizer = make_tokenizer(request.param)
    torch.manual_seed(1)
    model = make_model(request.param, tokenizer)
    # Fresh weights answer nearly alike to everything; larger ones tell rows apart.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return lambda batch_size: Answering(
        model, ChatFormat(tokenizer, request.param), ALONE, batch_size
    )


def messages(question):
    return chat("Answer the question.", question, "In Utah, since " + question)


def test_left_padded_batches_generate_what_single_rows_do(ask):
    prompts = [ask(1).chat.prompt(messages(question)) for question in QUESTIONS]
    alone, batched = ask(1).texts(prompts, 12), ask(4).texts(prompts, 12)
    assert batched == alone
    assert len(set(alone)) > 1


def test_a_models_own_settings_of_sampling_do_not_matter(ask):
    asked = ask(4)
    prompts = [asked.chat.prompt(messages(question)) for question in QUESTIONS]
    greedy = asked.texts(prompts, 12)
    asked.model.generation_config.update(
        do_sample=True, temperature=5.0, top_p=0.9, repetition_penalty=3.0
    )
    assert asked.texts(prompts, 12) == greedy


def test_losses_do_not_depend_on_the_batch(ask):
    examples = [ask(1).chat.example(messages(question)) for question in QUESTIONS]
    assert ask(4).losses(examples) == pytest.approx(ask(1).losses(examples), rel=1e-5)


def test_a_loss_is_the_mean_over_the_answers_own_tokens(ask):
    asked = ask(1)
    example = asked.chat.example(messages(QUESTIONS[1]))
    tokens = torch.tensor([[*example.prompt, *example.answer]])
    with torch.no_grad():
        scores = log_softmax(asked.model(tokens).logits[0], dim=-1)
    first = len(example.prompt)
    own = [float(scores[first - 1 + i, token]) for i, token in enumerate(example.answer)]
    assert asked.losses([example]) == pytest.approx([-sum(own) / len(own)], rel=1e-5)


def test_asking_leaves_the_model_as_it_was(ask):
    asked = ask(2)
    asked.model.train()
    asked.losses([asked.chat.example(messages("Who?"))])
    assert asked.model.training
    assert all(parameter.grad is None for parameter in asked.model.parameters())
