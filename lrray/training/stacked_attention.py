"""Attention of models side by side: the learners' axis goes into that of the sequences.

``vmap`` has no rule for torch's attention on CPUs, where it would go from learner to learner, nor
does autocast reach it there. Folded, it is one call of the kernel that a model alone would use.

Axis letters: K learner, B sequence, H head, T token, D head dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode


class StackedAttention(TorchFunctionMode):
    """Within it, ``scaled_dot_product_attention`` below ``vmap`` is one call for all learners."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Passes every other function on."""
        if func is scaled_dot_product_attention:
            return _folded(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _folded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Torch's function, its arguments by their names there; ``[B, H, T, D]`` below ``vmap``."""
    if dropout_p:
        raise RuntimeError("a random operation: dropout in attention")
    options = {"is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    result: Tensor = _Attention.apply(query, key, value, attn_mask, options)
    return result


class _Attention(torch.autograd.Function):
    """Only its rule for ``vmap`` is ever used, whose operations are differentiated as they are."""

    @staticmethod
    def forward(*arguments: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        options: Mapping[str, Any],
    ) -> tuple[Tensor, int]:
        """Tensors ``[K, B, H, T, D]``, the learners' axis where ``in_dims`` says."""
        num = info.batch_size
        batch = (query if in_dims[0] is None else query.movedim(in_dims[0], 0)[0]).shape[0]

        def fold(tensor: Tensor, dim: int | None, size: int) -> Tensor:
            tensor = tensor.expand(num, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            return tensor.expand(num, size, *tensor.shape[2:]).flatten(0, 1)

        query = fold(query, in_dims[0], batch)
        key, value = fold(key, in_dims[1], batch), fold(value, in_dims[2], batch)
        if mask is not None and not (in_dims[3] is None and mask.shape[0] == 1):
            mask = fold(mask, in_dims[3], batch)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask, **options)
        return attended.unflatten(0, (num, batch)), 0
