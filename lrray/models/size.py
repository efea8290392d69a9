"""How large a model is and what a token costs.

FLOPs follow the usual count (Kaplan et al. 2020, §2.1; Chowdhery et al. 2022, appendix B): a
forward pass multiplies and adds once per weight and token, 2 FLOPs, and a backward pass costs twice
a forward pass, 6 in all. Attention adds its two products of queries, keys and values: 12 L H T for
L attention layers of width H and context T, the causal half not subtracted.
Norms, activations and scans of recurrent layers are left out: they multiply no matrices.

Of a model of the user's own the structure is not known: it counts as 6 FLOPs per weight of a matrix
that is no looked-up embedding, without what the model does between tokens, unless it says itself
(:class:`CountsFlops`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from lrray.models.recurrent import RecurrentLM
from lrray.models.wrapper import CausalLM


@runtime_checkable
class CountsFlops(Protocol):
    """A model that knows what a token costs."""

    def flops_per_token(self, context_len: int) -> int:
        """FLOPs of a forward and a backward pass per token, at that context length."""
        ...


@dataclass(frozen=True)
class ModelSize:
    """Parameter counts and training cost."""

    num_parameters: int
    """All trainable parameters, shared ones once."""
    num_embedding_parameters: int
    """Tables over tokens and positions: input embeddings and the output weights."""
    flops_per_token: int
    """Forward and backward pass: 6 N + 12 L H T, with N the weights of matrix products."""

    @property
    def num_non_embedding_parameters(self) -> int:
        """Parameters without the tables over tokens and positions."""
        return self.num_parameters - self.num_embedding_parameters


def model_size(model: nn.Module, context_len: int) -> ModelSize:
    """Counts trainable parameters and FLOPs per trained token at that context length."""
    embeddings = {m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    output = _output_weight(model)
    tables = embeddings | {output}
    parameters = [p for p in model.parameters() if p.requires_grad]
    # An embedding is looked up, not multiplied, except where it is the output's weight as well.
    multiplied = [p for p in parameters if p.ndim > 1 and (p not in embeddings or p is output)]
    flops = 6 * sum(p.numel() for p in multiplied) + 12 * _attention_width(model) * context_len
    return ModelSize(
        num_parameters=sum(p.numel() for p in parameters),
        num_embedding_parameters=sum(p.numel() for p in parameters if p in tables),
        flops_per_token=(
            model.flops_per_token(context_len) if isinstance(model, CountsFlops) else flops
        ),
    )


def _output_weight(model: nn.Module) -> torch.Tensor | None:
    """The weight that maps the last hidden state to logits, where it is known."""
    if isinstance(model, CausalLM):
        weight: torch.Tensor = model.model.get_output_embeddings().weight
        return weight
    if isinstance(model, RecurrentLM):
        return model.head.weight
    return _last_linear_over_tokens(model)


def _last_linear_over_tokens(model: nn.Module) -> torch.Tensor | None:
    """Of a model of the user's own: the last linear layer with as many outputs as tokens."""
    layers = list(model.modules())
    tokens = next((m.num_embeddings for m in layers if isinstance(m, nn.Embedding)), None)
    linear = [m for m in layers if isinstance(m, nn.Linear) and m.out_features == tokens]
    return linear[-1].weight if linear else None


def _attention_width(model: nn.Module) -> int:
    """Sum over attention layers of their width, heads times head dimension."""
    if not isinstance(model, CausalLM):
        return 0
    config = model.model.config
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return 0
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    layer_types = getattr(config, "layers_block_type", None)
    layers = config.num_hidden_layers
    if layer_types:  # mixtures of recurrence and attention name the kind of each layer
        layers = sum("attention" in kind for kind in layer_types)
    return int(layers * heads * head_dim)
