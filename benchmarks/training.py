"""What the training loop costs: its speed against a minimal hand-written loop on the same model.

Both loops take short turns, and the best turn of each counts: other work on the machine can only
slow a loop down. Run with ``python -m benchmarks.training``.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.models.size import model_size
from lrray.training import TrainConfig
from lrray.training.distributed import choose_device
from lrray.training.loop import train

SEQ_LEN, BATCH_SIZE = 256, 16
NUM_TURNS = 9

GRAPH = {
    "nodes": [
        *(
            {"name": f"Z{i}", "state_dim": 4, "alpha": 0.15, "parents": ["X"],
             "kernel_type": "fullrank"}
            for i in range(1, 5)
        ),
        {"name": "X", "state_dim": 32, "alpha": 0.001, "parents": ["Z1", "Z2", "Z3", "Z4"],
         "kernel_type": "fullrank", "observed": True},
    ]
}  # fmt: skip
"""The published graph of four latents with feedback."""


def measure() -> list[dict[str, Any]]:
    """Rows of ``name``, ``value``, ``unit``, ``goal``, ``note`` for hidden sizes 32 and 128."""
    gssm = GSSM.from_config(GRAPH, seed=42)
    sampler = _sampler_tokens_per_s(gssm)
    return [row for hidden in (32, 128) for row in _measure_size(gssm, hidden, sampler)]


def _measure_size(gssm: GSSM, hidden_size: int, sampler: float) -> list[dict[str, Any]]:
    device = choose_device("auto")
    num_steps = 200 if device.type == "cuda" else 640 // hidden_size
    ours, by_hand, waits = [], [], []
    for turn in range(NUM_TURNS + 1):
        hand = _hand_written(gssm, _model(gssm, hidden_size), num_steps, device)
        metrics = _this_loop(gssm, _model(gssm, hidden_size), num_steps)
        if turn:  # the first turn warms up
            by_hand.append(hand)
            ours.append(metrics["tokens_per_s"])
            waits.append(metrics["data_wait_share"])
    speed, hand_speed = max(ours), max(by_hand)
    paired = statistics.median(a / b for a, b in zip(ours, by_hand, strict=True))
    flops = model_size(_model(gssm, hidden_size), SEQ_LEN).flops_per_token
    peak = _matmul_flops_per_s(device)
    what = f"training, hidden {hidden_size}"
    note = f"llama, 4 layers, {SEQ_LEN} x {BATCH_SIZE} tokens, {_name(device)}"
    return [
        _row(f"{what}: speed", speed, "tokens/s", "", note),
        _row(f"{what}: speed over a hand-written loop's", speed / hand_speed, "x", ">= 0.95",
             f"best of {NUM_TURNS} turns each; median of the pairs {paired:.3f}"),
        _row(f"{what}: share of time waiting for data", statistics.median(waits), "", "< 0.02", ""),
        _row(f"{what}: sampler's speed over what training takes", sampler / speed, "x", ">= 10",
             f"{sampler / 1e6:.1f} M tokens/s on one thread"),
        _row(f"{what}: share of the device's matrix speed", flops * speed / peak, "", "",
             f"of {peak / 1e9:,.0f} GFLOP/s, measured on one large product"),
    ]  # fmt: skip


def _row(name: str, value: float, unit: str, goal: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "goal": goal, "note": note}


def _model(gssm: GSSM, hidden_size: int) -> nn.Module:
    config = ModelConfig(hidden_size=hidden_size, num_hidden_layers=4, num_attention_heads=4)
    return build_model(config, gssm.vocab_size, SEQ_LEN, seed=0)


def _this_loop(gssm: GSSM, model: nn.Module, num_steps: int) -> dict[str, Any]:
    config = TrainConfig(
        steps=num_steps, batch_size=BATCH_SIZE, seq_len=SEQ_LEN, log_every=num_steps,
        eval_sequences=2,
    )  # fmt: skip
    return train(model, gssm, config).metrics


def _hand_written(gssm: GSSM, model: nn.Module, num_steps: int, device: torch.device) -> float:
    """Tokens per second of the least that trains the model: its data lies ready in memory."""
    tokens = gssm.sample(num_steps * BATCH_SIZE, SEQ_LEN)
    batches = torch.from_numpy(tokens).long().split(BATCH_SIZE)
    hugging_face = model.model.to(device)
    assert isinstance(hugging_face, nn.Module)
    optimizer = torch.optim.AdamW(hugging_face.parameters(), lr=1e-3, fused=True)
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    began = time.perf_counter()
    for batch in batches:
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = hugging_face(input_ids=batch[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(hugging_face.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    loss.item()  # waits for a GPU to finish
    return tokens.size / (time.perf_counter() - began)


def _sampler_tokens_per_s(gssm: GSSM) -> float:
    gssm.sample(256, SEQ_LEN, num_threads=1)
    speeds = []
    for turn in range(9):
        began = time.perf_counter()
        tokens = gssm.sample(256, SEQ_LEN, start=256 * turn, num_threads=1)
        speeds.append(tokens.size / (time.perf_counter() - began))
    return statistics.median(speeds)


def _matmul_flops_per_s(device: torch.device) -> float:
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        (a @ b)[0, 0].item()
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    for row in measure():
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}  {row['goal']}  {row['note']}")
