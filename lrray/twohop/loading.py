"""Chat models by name: from the Hub or a folder, with adapters where asked for.

Nothing is downloaded before a cell runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from lrray.errors import LrrayError
from lrray.twohop.chat import ChatFormat
from lrray.twohop.config import FinetuneConfig, Lora
from lrray.twohop.model_files import model_files
from lrray.twohop.rows import Message


def load_chat_model(name: str) -> tuple[nn.Module, ChatFormat]:
    """A causal model in the precision it was saved in, and its chat format.

    Args:
        name: of a model on the Hub or of :data:`SMALL_MODELS`, a GGUF file, or a folder that
            ``save_pretrained`` wrote.

    Raises:
        LrrayError: it cannot be had, and what to do about that; or it is no chat model.
    """
    where = f"model {name}"
    files = model_files(name)
    options = {} if files.gguf_file is None else {"gguf_file": files.gguf_file}
    try:
        tokenizer = AutoTokenizer.from_pretrained(files.source, **options)
        chat = ChatFormat(tokenizer, where)  # before gigabytes of weights are fetched
        model = AutoModelForCausalLM.from_pretrained(files.source, dtype="auto", **options)
    except LrrayError:
        raise
    except Exception as error:  # a dozen kinds, from the network to a broken file
        reason = next((line for line in str(error).splitlines() if line), type(error).__name__)
        raise LrrayError(
            where, f"cannot be loaded: {reason}",
            fix="check the name; where there is no network, fetch it elsewhere with 'hf download"
            " NAME --local-dir FOLDER' and set model: FOLDER; for a gated model accept its licence"
            " on its page, then 'hf auth login'",
        ) from None  # fmt: skip
    if files.gguf_file is not None:
        forget_quantization(model)
    _take_own_generation(model)
    return model, chat


def forget_quantization(model: Any) -> None:
    """Of a GGUF file the weights were made whole when it was read, and can be trained and saved.

    transformers goes on taking the model for a quantized one, whose precision must not change.
    """
    model.is_quantized = False
    model.hf_quantizer = None
    model.config.quantization_config = None


def _take_own_generation(model: Any) -> None:
    """Leaves of a model's generation settings its stops alone.

    ``generate`` fills in from them whatever it is not told: a ban of repeated n-grams, a least
    length or forced tokens would change what greedy decoding answers.
    """
    given = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=given.bos_token_id, eos_token_id=given.eos_token_id
    )


def check_fits(
    model: nn.Module, chat: ChatFormat, chats: Iterable[Sequence[Message]], new_tokens: int
) -> None:
    """Refuses tokens that the model has no embedding of, and chats longer than its context.

    Args:
        model: as it was loaded.
        chat: its chat format.
        chats: all that it is to learn or to be asked.
        new_tokens: room for an answer that it generates.

    Raises:
        LrrayError: what does not fit.
    """
    loaded: Any = model
    vocabulary = int(loaded.get_input_embeddings().num_embeddings)
    if not 0 <= chat.pad < vocabulary:
        raise LrrayError(
            chat.where, f"its padding token must be one of the model's {vocabulary}", got=chat.pad,
            fix="set the tokenizer's pad_token to its eos_token and save it to a folder",
        )  # fmt: skip
    examples = [chat.example(messages) for messages in chats]
    largest = max(max(example.prompt + example.answer) for example in examples)
    if largest >= vocabulary:
        raise LrrayError(
            chat.where, f"its tokenizer must write the model's {vocabulary} tokens alone",
            got=largest, fix="resize the model's embeddings to its tokenizer and save both",
        )  # fmt: skip
    longest = max(len(e.prompt) + max(len(e.answer), new_tokens) for e in examples)
    context = getattr(loaded.config, "max_position_embeddings", None)
    if context is not None and longest > context:
        raise LrrayError(
            chat.where, f"prompt and answer must fit into its context of {context} tokens",
            got=longest, fix="shorten data.prompts, lower evaluate.max_new_tokens and"
            " max_new_tokens_cot, or take a model with a longer context",
        )  # fmt: skip


def prepare(model: nn.Module, config: FinetuneConfig, seed: int) -> nn.Module:
    """Makes trainable what is to be trained, in float32, and nothing else.

    With adapters the weights themselves stay frozen in the precision they were loaded in.
    """
    if config.lora is None:
        model.float()
    else:
        _add_adapters(model, config.lora, seed)
    if config.gradient_checkpointing:
        checkpoint: Any = model.gradient_checkpointing_enable
        checkpoint(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def _add_adapters(model: nn.Module, lora: Lora, seed: int) -> None:
    """Puts adapters into the model in place.

    There is no wrapper around it: sharding peft's wrapper as a whole breaks ``generate``.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise LrrayError(
            "finetune.lora", "needs the package peft", fix="pip install 'lrray[finetune]'"
        ) from None
    torch.manual_seed(seed)
    modules = lora.target_modules
    target = modules if isinstance(modules, str) else list(modules)
    settings = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=target)
    try:
        inject_adapter_in_model(settings, model)
    except ValueError as error:
        raise LrrayError(
            "finetune.lora.target_modules", f"does not fit the model: {error}", got=modules,
            fix="use all-linear",
        ) from None  # fmt: skip
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
