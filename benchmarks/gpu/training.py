"""Tokens per second of training, against a bare loop on the same model."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.gpu.device import DEVICE
from benchmarks.gpu.sizes import Size
from benchmarks.table import row
from benchmarks.training import GRAPH, Stopwatch, hand_written, matmul_flops_per_s
from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.models.size import model_size
from lrray.training import TrainConfig
from lrray.training.loop import train


def measure(size: Size) -> list[dict[str, Any]]:
    """Rows for every model: this loop, compiled, with CUDA graphs, and by hand."""
    gssm, peak = GSSM.from_config(GRAPH, seed=42), matmul_flops_per_s(DEVICE)
    peak_row = row("matrix products", peak / 1e12, "TFLOP/s", "", "one large product")
    return [peak_row, *(r for model in size.models for r in _rows(gssm, model, size, peak))]


def _rows(gssm: GSSM, sizes: tuple[int, int], size: Size, peak: float) -> list[dict[str, Any]]:
    what = f"hidden {sizes[0]} x {sizes[1]} layers"
    num_tokens = size.training_tokens[0] * size.training_tokens[1]
    flops = model_size(_model(gssm, sizes, size), size.training_tokens[1]).flops_per_token
    ours, waiting = _this_loop(gssm, _model(gssm, sizes, size), size, compiled=False)
    compiled, _ = _this_loop(gssm, _model(gssm, sizes, size), size, compiled=True)
    bare = _by_hand(gssm, _model(gssm, sizes, size), size)
    rows = [
        row(f"{what}: speed", num_tokens / ours, "tokens/s", "", f"{flops:,} FLOPs a token"),
        row(f"{what}: share of peak", flops * num_tokens / ours / peak, "", "", ""),
        row(f"{what}: share of time waiting for data", waiting, "", "< 0.02", ""),
        row(f"{what}: compiled", num_tokens / compiled, "tokens/s", "", ""),
        row(f"{what}: over a bare loop's", bare / ours, "x", ">= 0.95", ""),
    ]
    if DEVICE.type == "cuda":
        graphs = _by_hand(gssm, _model(gssm, sizes, size), size, mode="reduce-overhead")
        rows.append(row(f"{what}: bare loop, CUDA graphs", num_tokens / graphs, "tokens/s", "", ""))
    return rows


def _model(gssm: GSSM, sizes: tuple[int, int], size: Size) -> nn.Module:
    config = ModelConfig(hidden_size=sizes[0], num_hidden_layers=sizes[1], num_attention_heads=4)
    return build_model(config, gssm.vocab_size, size.training_tokens[1], seed=0)


def _this_loop(gssm: GSSM, model: nn.Module, size: Size, compiled: bool) -> tuple[float, float]:
    """Seconds of a step, and the share of time that it waits for data."""
    stopwatch = Stopwatch(DEVICE)
    config = TrainConfig(
        steps=size.training_steps, batch_size=size.training_tokens[0],
        seq_len=size.training_tokens[1], log_every=max(1, size.training_steps // 4),
        eval_sequences=2, compile=compiled,
    )  # fmt: skip
    found = train(model, gssm, config, should_stop=stopwatch).metrics
    return stopwatch.seconds_per_step(), found["data_wait_share"]


def _by_hand(gssm: GSSM, model: nn.Module, size: Size, mode: str | None = None) -> float:
    if mode is not None:
        model.model = torch.compile(model.model, mode=mode)
    stopwatch = Stopwatch(DEVICE)
    tokens = gssm.sample(size.training_steps * size.training_tokens[0], size.training_tokens[1])
    hand_written(tokens, size.training_tokens[0], model, DEVICE, stopwatch)
    return stopwatch.seconds_per_step()
