"""Chat models by name: from the Hub or a folder, with adapters where asked for.

Nothing is downloaded before a cell runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from lrray.errors import LrrayError
from lrray.twohop.chat import ChatFormat
from lrray.twohop.config import FinetuneConfig, Lora


def load_chat_model(name: str) -> tuple[nn.Module, ChatFormat]:
    """A causal model in the precision it was saved in, and its chat format.

    Args:
        name: of a model on the Hub, or a folder that ``save_pretrained`` wrote.

    Raises:
        LrrayError: it cannot be had, and what to do about that; or it is no chat model.
    """
    where = f"model {name}"
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        chat = ChatFormat(tokenizer, where)  # before gigabytes of weights are fetched
        return AutoModelForCausalLM.from_pretrained(name, dtype="auto"), chat
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
