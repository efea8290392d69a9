"""Whether the device computes what a CPU computes."""

from __future__ import annotations

import math
import tempfile
import threading
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.device import DEVICE
from benchmarks.gpu.sizes import Size
from benchmarks.table import row
from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.training import TrainConfig
from lrray.training.learner import Learner
from lrray.training.loop import MakeLearner, train
from lrray.training.packing import Pack

GRAPH = {
    "nodes": [
        {"name": "Z1", "state_dim": 3, "alpha": 0.3},
        {"name": "X", "state_dim": 4, "alpha": 0.3, "parents": ["Z1"], "observed": True},
    ]
}
TYPES = ("llama", "gpt2", "mamba2", "recurrent_gemma", "mingru", "lstm")


def measure(size: Size) -> list[dict[str, Any]]:
    """Largest relative difference of training losses over eight steps; a row each."""
    here = DEVICE.type
    rows = [
        _row(f"{kind}: as on a CPU", _apart(run(kind, here), run(kind, "cpu")), 1e-3)
        for kind in TYPES
    ]
    exact = run("llama", here)
    rough = run("llama", here, precision="bf16")
    rows.append(_row("bf16: near float32", _apart(rough, exact), 0.05))
    rows += [_checkpoint(first, then) for first, then in ((here, "cpu"), ("cpu", here))]
    rows.append(_row("compiled: as not compiled", _apart(_compiled(here), exact), 1e-3))
    rows.append(_row("packed: as alone", _packed(here), 1e-3))
    return [*rows, _attention(), _types()]


def run(
    kind: str, device: str, precision: str = "float32", seed: int = 0,
    make_learner: MakeLearner = Learner, **keys: Any,
) -> list[float]:  # fmt: skip
    """Training losses of a small run, step by step."""
    stop_at, folder = keys.pop("stop_at", None), keys.pop("folder", None)
    gssm, losses = GSSM.from_config(GRAPH, seed=1), []
    config = TrainConfig.model_validate({
        "steps": 8, "batch_size": 8, "seq_len": 16, "log_every": 1, "eval_sequences": 8,
        "learning_rate": 0.01, "device": device, "precision": precision, "data_seed": seed, **keys,
    })  # fmt: skip
    settings = ModelConfig.model_validate({"type": kind, "hidden_size": 8, "num_hidden_layers": 1})
    train(
        build_model(settings, 4, 16, seed), gssm, config, run_dir=folder,
        report=lambda told: losses.append(told.get("train_loss_bits")),
        should_stop=lambda: len(losses) == stop_at, make_learner=make_learner,
    )  # fmt: skip
    return [loss for loss in losses if loss is not None]


def _checkpoint(first: str, then: str) -> dict[str, Any]:
    whole = run("llama", first)
    with tempfile.TemporaryDirectory() as scratch:
        begun = run("llama", first, folder=Path(scratch), stop_at=4)
        ended = run("llama", then, folder=Path(scratch))
    return _row(f"checkpoint of {first}, on {then}", _apart(begun + ended, whole), 1e-3)


def _compiled(device: str) -> list[float]:
    return run("llama", device, compile=True)


def _packed(device: str) -> float:
    packed: list[list[float]] = [[] for _ in range(3)]
    pack = Pack(len(packed))

    def member(seed: int) -> None:
        with pack.member():
            packed[seed] = run("llama", device, seed=seed, make_learner=pack.learner)

    threads = [threading.Thread(target=member, args=(seed,)) for seed in range(len(packed))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [run("llama", device, seed=seed) for seed in range(len(packed))]
    return max(_apart(*both) for both in zip(packed, alone, strict=True))


def _attention() -> dict[str, Any]:
    """Which kernel torch chooses by itself for bf16 and a causal mask."""
    query = torch.randn(2, 4, 256, 64, device=DEVICE, dtype=torch.bfloat16, requires_grad=True)
    with torch.profiler.profile() as profile:
        nn.functional.scaled_dot_product_attention(query, query, query, is_causal=True)
    names = [event.key for event in profile.key_averages() if "attention" in event.key]
    chosen = next((name for name in names if "_for_cpu" in name or "flash" in name), names[-1])
    return row("attention: a fused kernel", float("math" not in chosen), "", "= 1", chosen)


def _types() -> dict[str, Any]:
    """Weights stay float32, whatever the device could do with fewer bits."""
    model = build_model(ModelConfig(hidden_size=8, num_hidden_layers=1), 4, 16, 0).to(DEVICE)
    kinds = {str(parameter.dtype) for parameter in model.parameters()}
    are = float(kinds == {"torch.float32"})
    return row("weights: float32 alone", are, "", "= 1", ", ".join(kinds))


def _apart(one: list[float], other: list[float]) -> float:
    if len(one) != len(other):
        return math.inf
    return max(abs(a - b) / abs(b) for a, b in zip(one, other, strict=True))


def _row(what: str, value: float, goal: float) -> dict[str, Any]:
    return row(what, value, "relative", f"<= {goal:g}", "largest over 8 steps")
