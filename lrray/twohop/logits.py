"""Logits where they are asked for: the output head, a large part of the work, sees no others.

Axis letters: B row, T token, V vocabulary, N chosen position.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def logits_at(model: nn.Module, chosen: tuple[Tensor, ...], **inputs: Any) -> tuple[Tensor, Any]:
    """Runs a causal model and its head at chosen positions alone.

    The hidden states are picked right before the head, whatever the model does to logits after it
    (scaling, capping). A model that has no head of its own to be told of has its logits picked.

    Args:
        model: a Hugging Face causal model.
        chosen: rows and columns of the positions, ``[N]`` each.
        **inputs: of the model, ``input_ids`` ``[B, T]`` among them.

    Returns:
        Logits ``[N, V]`` in float32, and the model's whole output.
    """
    rows, columns = chosen
    causal: Any = model
    with _picked_before(causal.get_output_embeddings(), rows, columns) as picked:
        outputs = causal(**inputs)
    logits: Tensor = outputs.logits
    return (logits[0] if picked else logits[rows, columns]).float(), outputs


@contextmanager
def _picked_before(head: nn.Module | None, rows: Tensor, columns: Tensor) -> Iterator[list[bool]]:
    """Lets ``head`` see ``[1, N, …]`` of its input ``[B, T, …]``; the list tells whether it did."""
    picked: list[bool] = []
    if head is None:
        yield picked
        return

    def pick(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        picked.append(True)
        return (inputs[0][rows, columns].unsqueeze(0), *inputs[1:])

    hook = head.register_forward_pre_hook(pick)
    try:
        yield picked
    finally:
        hook.remove()
