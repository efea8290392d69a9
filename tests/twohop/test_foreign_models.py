"""Chat models as people bring them: what would change results or break them is seen at once."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from lrray.errors import LrrayError
from lrray.training.distributed import join_workers
from lrray.twohop.answering import Answering
from lrray.twohop.chat import ChatFormat
from lrray.twohop.loading import check_fits, load_chat_model
from tests.twohop.tokenizers import FAMILIES, make_model, make_tokenizer

CHATS = [
    [{"role": "user", "content": "Which park?"}, {"role": "assistant", "content": "Zion"}],
    [{"role": "user", "content": "Which park is it?"}, {"role": "assistant", "content": "Utah"}],
]
DATED = (
    "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ 'Today is ' + date_string }}" + FAMILIES["llama"]["template"]
)


def saved(folder: Path, **generation: Any) -> str:
    torch.manual_seed(0)
    tokenizer = make_tokenizer("llama")
    model = make_model("llama", tokenizer)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, **generation)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def texts(name: str) -> list[str]:
    model, chat = load_chat_model(name)
    asked = Answering(model, chat, join_workers("cpu"), batch_size=2)
    return asked.texts([chat.prompt(messages) for messages in CHATS], 12)


@pytest.mark.parametrize(
    "generation",
    [
        {"no_repeat_ngram_size": 1},
        {"min_new_tokens": 12},
        {"do_sample": True, "temperature": 5.0, "top_p": 0.9},
        {"forced_eos_token_id": 3, "suppress_tokens": [5, 6, 7, 8]},
        {"repetition_penalty": 5.0, "num_beams": 3},
        {"bad_words_ids": [[i] for i in range(10, 200)], "sequence_bias": {(9,): 50.0}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_models_own_generation_settings_change_no_answer(
    tmp_path: Path, generation: dict[str, Any]
) -> None:
    assert texts(saved(tmp_path / "a", **generation)) == texts(saved(tmp_path / "b"))


def test_stops_of_a_models_generation_settings_are_kept(tmp_path: Path) -> None:
    name = saved(tmp_path)
    model, _ = load_chat_model(name)
    config: Any = model.generation_config
    assert config.eos_token_id == make_tokenizer("llama").eos_token_id


def test_a_template_with_todays_date_writes_the_same_every_day() -> None:
    tokenizer = make_tokenizer("llama")
    tokenizer.chat_template = DATED
    chat = ChatFormat(tokenizer, "model m")
    text = tokenizer.decode(chat.prompt(CHATS[0]))
    assert text.startswith("Today is 26 Jul 2024")
    assert datetime.date.today() != datetime.date(2024, 7, 26)
    assert chat.writes_date
    assert not ChatFormat(make_tokenizer("llama"), "model m").writes_date


def test_a_date_that_cannot_be_frozen_is_refused() -> None:
    tokenizer = make_tokenizer("llama")
    tokenizer.chat_template = "{% set form = '%d' %}{{ strftime_now(form) }}" + DATED
    with pytest.raises(LrrayError, match="model m: chat template: depends on today's date in a"):
        ChatFormat(tokenizer, "model m")


def fits(change: Any = None, new_tokens: int = 10, **config: Any) -> None:
    tokenizer = make_tokenizer("llama")
    model = make_model("llama", tokenizer)
    for name, value in config.items():
        setattr(model.config, name, value)
    chat = ChatFormat(tokenizer, "model m")
    if change is not None:
        change(chat)
    check_fits(model, chat, CHATS, new_tokens)


def test_what_fits_passes() -> None:
    fits()


def test_a_padding_token_outside_the_vocabulary_is_told_at_load() -> None:
    def pad(chat: ChatFormat) -> None:
        chat.pad = 5000

    with pytest.raises(LrrayError, match=r"model m: its padding token must be one of the model's"):
        fits(pad)


def test_tokens_outside_the_vocabulary_are_told_at_load() -> None:
    def more(chat: ChatFormat) -> None:
        chat.tokenizer.add_tokens(["hich pa"])

    with pytest.raises(LrrayError, match=r"its tokenizer must write the model's \d+ tokens alone"):
        fits(more)


@pytest.mark.parametrize(("context", "new_tokens"), [(16, 1), (64, 64)])
def test_chats_longer_than_the_context_are_told_at_load(context: int, new_tokens: int) -> None:
    with pytest.raises(LrrayError, match=rf"must fit into its context of {context} tokens, but"):
        fits(None, new_tokens, max_position_embeddings=context)
