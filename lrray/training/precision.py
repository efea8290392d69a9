"""Whether a run computes in float32 or under bf16 autocast."""

from __future__ import annotations

import torch

from lrray.errors import LrrayError
from lrray.training.config import TrainConfig


def use_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether the run computes under bf16 autocast; weights stay float32 either way.

    Raises:
        LrrayError: bf16 is asked for on a GPU without it.
    """
    on_gpu = device.type == "cuda"
    has_bf16 = not on_gpu or torch.cuda.is_bf16_supported()
    if config.precision == "bf16" and not has_bf16:
        raise LrrayError(
            "precision", "this GPU has no bf16", got="bf16", fix="set precision: float32"
        )
    return config.precision == "bf16" or (config.precision == "auto" and on_gpu and has_bf16)
