"""Any Hugging Face causal architecture from its configuration: no download, no weights.

Axis letters: B sequence, T step, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from lrray.errors import LrrayError, did_you_mean
from lrray.models.config import RECURRENT_TYPES, SHIPPED_TYPES, ModelConfig
from lrray.models.contract import first_seen_too_early
from lrray.models.wrapper import CausalLM

_WHERE = "model"

# A GSSM has no padding and no end: token 0, which many types pad with, is a token like any other,
# and an embedding that takes it for padding would never learn it.
_NO_SPECIAL_TOKENS = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}

# Of every type, but no part of an architecture; and those this package sets itself.
_NOT_SETTINGS = {field.name for field in dataclasses.fields(PreTrainedConfig)} | set(
    _NO_SPECIAL_TOKENS
)

_DEFAULT_HEADS = 4


def make_causal_lm(config: ModelConfig, vocab_size: int, context_len: int) -> CausalLM:
    """Builds the model with fresh weights from torch's current random state.

    Raises:
        LrrayError: as :func:`make_config`; or the configuration is refused when building, or the
            model sees later tokens.
    """
    hf_config = make_config(config, vocab_size, context_len)
    try:
        model = CausalLM(AutoModelForCausalLM.from_config(hf_config))
    except Exception as error:
        raise _refused(config.type, error) from None
    _check_causal(model, config.type, vocab_size, min(context_len, 8))
    return model


def make_config(config: ModelConfig, vocab_size: int, context_len: int) -> PreTrainedConfig:
    """The type's own configuration, every key checked.

    Raises:
        LrrayError: unknown type or key, heads that do not divide the hidden size, a context or a
            vocabulary that the given keys are too small for, or a value that the type refuses; or
            a type whose sizes are not set by these keys.
    """
    config_class = _config_class(config.type)
    fields = {field.name for field in dataclasses.fields(config_class)} - _NOT_SETTINGS
    values = {_field_name(config_class, key): value for key, value in _common(config).items()}
    for key, value in config.options.items():
        name = _field_name(config_class, key)
        if name not in fields:
            names = config_class.attribute_map.items()
            known = fields | {alias for alias, name in names if name in fields}
            raise LrrayError(
                _WHERE, f"type {config.type} has no key {key!r}", fix=did_you_mean(key, known)
            )
        values[name] = value
    _derive(values, fields, config)
    _limit(values, "vocab_size", vocab_size, "the graph's number of tokens")
    length = _field_name(config_class, "max_position_embeddings")
    if length in fields:
        _limit(values, length, context_len, "the context length of the data")
    try:
        made = AutoConfig.for_model(config.type, **values, **_NO_SPECIAL_TOKENS)
        text = made.get_text_config()
    except Exception as error:
        raise _refused(config.type, error) from None
    _check_sizes(config, text, values["vocab_size"])
    return made


def _check_sizes(config: ModelConfig, text: PreTrainedConfig, vocab_size: int) -> None:
    """Refuses a type that does not take its sizes: it would be built with others, often huge."""
    wanted = {
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "vocab_size": vocab_size,
    }
    for name, value in wanted.items():
        own = getattr(text, name, None)
        if own != value:
            part = text.model_type
            is_type = part != config.type and part in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
            raise LrrayError(
                f"{_WHERE}.type", f"must take {name} {value}, which this one makes {own}",
                got=config.type,
                fix=f"type: {part}" if is_type else f"another type, or another {name}",
            )  # fmt: skip


def _field_name(config_class: type[PreTrainedConfig], key: str) -> str:
    """The field that a key names: itself, or what it is an alias of."""
    is_field = key in {field.name for field in dataclasses.fields(config_class)}
    return key if is_field else config_class.attribute_map.get(key, key)


def _config_class(type_: str) -> type[PreTrainedConfig]:
    if type_ not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        known = (*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *RECURRENT_TYPES)
        hint = did_you_mean(type_, known)
        if not hint.startswith("did you mean"):  # rather than all of the nearly 200 types
            hint = f"known: {', '.join(SHIPPED_TYPES)} and transformers' other causal types"
        raise LrrayError(f"{_WHERE}.type", "must be a known model type", got=type_, fix=hint)
    found: type[PreTrainedConfig] = CONFIG_MAPPING[type_]
    return found


def _common(config: ModelConfig) -> dict[str, Any]:
    """The size keys in transformers' common names, and heads where the type has any."""
    values: dict[str, Any] = {
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
    }
    if has_heads(config.type):
        values["num_attention_heads"] = heads = config.num_attention_heads or _DEFAULT_HEADS
        if config.hidden_size % heads and "head_dim" not in config.options:
            raise LrrayError(
                f"{_WHERE}.num_attention_heads",
                f"must divide hidden_size {config.hidden_size}",
                got=heads,
                fix="choose a divisor",
            )
    elif config.num_attention_heads is not None:
        raise LrrayError(
            f"{_WHERE}.num_attention_heads",
            f"type {config.type} has no attention heads",
            got=config.num_attention_heads,
            fix="leave it out",
        )
    return values


def has_heads(type_: str) -> bool:
    """Whether the type's configuration has ``num_attention_heads``."""
    config_class = _config_class(type_)
    name = _field_name(config_class, "num_attention_heads")
    return name in {field.name for field in dataclasses.fields(config_class)}


def _derive(values: dict[str, Any], fields: set[str], config: ModelConfig) -> None:
    """Sets what the sizes imply: transformers' own defaults fit models of billions of weights."""
    hidden, heads = config.hidden_size, config.num_attention_heads or _DEFAULT_HEADS
    implied: dict[str, Any] = {
        "intermediate_size": 4 * hidden,
        "num_key_value_heads": heads,
        "head_dim": hidden // heads,
        "lru_width": hidden,
    }
    if config.type == "mamba2":  # its heads split the expanded width
        num_heads = _positive(values, "num_heads", _DEFAULT_HEADS)
        inner = int(_positive(values, "expand", 2) * hidden)
        implied = {
            "num_heads": num_heads,
            "head_dim": inner // num_heads,
            "n_groups": 1,
            "chunk_size": 64,
        }
    # Dropout is regularisation, to be asked for: with infinite data there is nothing to prevent.
    implied |= {name: 0.0 for name in fields if name.endswith(("dropout", "pdrop"))}
    for name, value in implied.items():
        if name in fields:
            values.setdefault(name, value)


def _positive(values: dict[str, Any], name: str, default: int) -> Any:
    """A given number or its default."""
    given = values.get(name, default)
    if not isinstance(given, int | float) or not 0 < given < math.inf:
        raise LrrayError(
            f"{_WHERE}.{name}", "must be a number above 0", got=given, fix=f"e.g. {default}"
        )
    return given


def _limit(values: dict[str, Any], name: str, needed: int, what: str) -> None:
    """Sets ``name`` to what the data needs, or checks that the given value is enough."""
    given = values.setdefault(name, needed)
    if not isinstance(given, int) or given < needed:
        raise LrrayError(
            f"{_WHERE}.{name}",
            f"must be at least {what}, {needed}",
            got=given,
            fix="leave it out or raise it",
        )


def _check_causal(model: nn.Module, type_: str, vocab_size: int, length: int) -> None:
    """Refuses a model whose logits depend on later tokens: it would read the answer."""
    model.eval()
    try:
        with torch.no_grad():
            position = first_seen_too_early(model, vocab_size, length)
    except Exception as error:
        raise _refused(type_, error) from None
    finally:
        model.train()
    if position is not None:
        raise LrrayError(
            f"{_WHERE}.type",
            "must be causal, but this one's logits depend on later tokens",
            got=type_,
            fix="set is_decoder: true where the type has that key, or choose another type",
        )


def _refused(type_: str, error: Exception) -> LrrayError:
    return LrrayError(
        _WHERE, f"type {type_} refuses these keys: {error}", fix="change the key that it names"
    )
