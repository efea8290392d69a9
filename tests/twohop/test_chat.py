"""Chat templates: what is read, what is learnt, where an answer ends."""

import pytest
import torch

from lrray.errors import LrrayError
from lrray.twohop.chat import IGNORED, ChatFormat, prompt_batch, training_batch
from lrray.twohop.facts.loading import shipped_datasets, shipped_facts
from lrray.twohop.rows import chat
from lrray.twohop.tiny_tokenizer import make_tokenizer as make_tiny_tokenizer
from tests.twohop.tokenizers import make_tokenizer

MESSAGES = chat("Answer the question.", "Which park does Alvo work at?", "Zion National Park")
WITHOUT_SYSTEM = MESSAGES[1:]
END_OF_TURN = {"llama": "<|eot_id|>", "qwen": "<|im_end|>", "bracket": "</s>"}


@pytest.mark.parametrize("family", END_OF_TURN)
def test_loss_is_on_the_answer_and_the_end_of_turn_alone(family):
    tokenizer = make_tokenizer(family)
    example = ChatFormat(tokenizer, family).example(WITHOUT_SYSTEM)
    batch = training_batch([example], 0, torch.device("cpu"))
    learnt = batch.labels[batch.labels != IGNORED].tolist()
    assert tokenizer.decode(learnt).strip() == "Zion National Park" + END_OF_TURN[family]


@pytest.mark.parametrize("family", END_OF_TURN)
def test_training_reads_what_the_template_writes(family):
    tokenizer = make_tokenizer(family)
    example = ChatFormat(tokenizer, family).example(WITHOUT_SYSTEM)
    written = tokenizer.apply_chat_template(WITHOUT_SYSTEM, tokenize=False)
    read = tokenizer.decode(example.prompt + example.answer)
    # A space before the end of turn, or a line break after it, is no part of the answer.
    assert written.replace(" </s>", "</s>").startswith(read)


@pytest.mark.parametrize("family", ["llama", "qwen"])
def test_training_asks_as_generation_does(family):
    format_ = ChatFormat(make_tokenizer(family), family)
    assert format_.example(MESSAGES).prompt == format_.prompt(MESSAGES)
    assert "Zion" not in format_.tokenizer.decode(format_.prompt(MESSAGES))


def test_the_tiny_worlds_generation_mask_marks_what_is_learnt():
    tokenizer = make_tiny_tokenizer(["Which park does Alvo work at?"], ["Zion National Park"])
    example = ChatFormat(tokenizer, "tiny").example(MESSAGES)
    marked = tokenizer.apply_chat_template(
        MESSAGES, return_dict=True, return_assistant_tokens_mask=True
    )
    assert marked["input_ids"] == [*example.prompt, *example.answer]
    learnt = [0] * len(example.prompt) + [1] * len(example.answer)
    assert marked["assistant_masks"] == learnt


def test_names_are_single_tokens_in_the_tiny_world():
    names = ["Alvo Tarnwick", "Zion National Park", "Zion"]
    tokenizer = make_tiny_tokenizer(["in Utah"], names)
    for name in names:
        assert len(tokenizer(name)["input_ids"]) == 1


def test_a_generated_text_ends_where_the_turn_does():
    format_ = ChatFormat(make_tokenizer("llama"), "llama")
    tokens = [*format_.example(MESSAGES).answer, *format_.prompt(MESSAGES)]
    assert format_.text(tokens) == "Zion National Park"


def test_without_a_padding_token_the_end_of_turn_pads():
    format_ = ChatFormat(make_tokenizer("llama"), "llama")
    assert format_.pad == format_.end_of_turn
    tokens, mask = prompt_batch([(5, 6, 7), (8,)], format_.pad, torch.device("cpu"))
    assert tokens.tolist() == [[5, 6, 7], [format_.pad, format_.pad, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


def test_a_tokenizer_without_chat_template_is_refused_with_the_fix():
    tokenizer = make_tokenizer("llama")
    tokenizer.chat_template = None
    with pytest.raises(LrrayError, match=r"base-model: .*no chat template \(fix: name the chat"):
        ChatFormat(tokenizer, "base-model")


def test_a_template_without_system_role_is_refused_with_the_fix():
    format_ = ChatFormat(make_tokenizer("bracket"), "bracket")
    with pytest.raises(LrrayError, match=r"no system role \(fix: leave out the system messages"):
        format_.prompt(MESSAGES)


def test_a_template_that_answers_elsewhere_is_refused():
    tokenizer = make_tokenizer("llama")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}Bye"
    with pytest.raises(LrrayError, match="right where add_generation_prompt asks"):
        ChatFormat(tokenizer, "odd")


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_the_tiny_tokenizer_gives_back_every_name_and_answer_that_it_takes(dataset):
    facts = shipped_facts(dataset)
    names = [entity.name for entity in facts.entities]
    said = [fact.text for entity in facts.entities for fact in entity.facts.values()]
    texts = [f" This is {words}." for words in (*names, *said)]
    tokenizer = make_tiny_tokenizer(texts, names)
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts
    for name in names:
        assert len(tokenizer.encode(f" {name}")) <= 2  # the space may be one of its own
