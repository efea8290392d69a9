"""The tiny world's tokenizer: byte-level BPE of its own texts, with one token per name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}"
    "<|assistant|>{% generation %} {{ message.content }}<|end|>{% endgeneration %}"
    "{% else %}<|{{ message.role }}|> {{ message.content }}<|end|>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Every message begins with a space, so that a word is one token wherever it stands."""

_SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def make_tokenizer(texts: Iterable[str], names: Iterable[str], vocab_size: int = 2000) -> Any:
    """A tokenizer with a chat template.

    Args:
        texts: to learn the byte pairs from.
        names: each becomes one token.
        vocab_size: most byte pairs, special tokens included, names aside.
    """
    names = list(dict.fromkeys(names))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=1,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_without(texts, names), trainer)
    tokenizer.add_tokens([_one_token(name) for name in names])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=_SPECIAL[2:],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _one_token(name: str) -> AddedToken:
    """A token that decodes to what it encodes.

    The decoder reads a token as bytes if each of its characters can stand for a byte, as "ü" can
    for 0xFC; only a space before it keeps "Hürriyet" as it is written.
    """
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    if name.isascii() or not alphabet.issuperset(name):
        return AddedToken(name, single_word=True, normalized=False)
    return AddedToken(f" {name}", normalized=False)


def _without(texts: Iterable[str], names: list[str]) -> Iterable[str]:
    """The texts without the names, which need no byte pairs of their own."""
    longest_first = sorted(names, key=len, reverse=True)
    for text in texts:
        for name in longest_first:
            if name in text:
                text = text.replace(name, " ")
        yield f" {text}"
