"""What the training loop costs: its speed against a minimal hand-written loop on the same model.

The loops take short turns and each step is timed where both begin one. On a CPU the clock is the
process's CPU time, all threads together, which other work on the machine disturbs least. Run with
``python -m benchmarks.training``.
"""

from __future__ import annotations

import itertools
import statistics
import time
from typing import Any

import torch
from numpy.typing import NDArray
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
NUM_TURNS = 7

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
    num_steps = 200 if device.type == "cuda" else max(8, 640 // hidden_size)
    ratios, runs = [], []
    for _ in range(NUM_TURNS):
        ours, by_hand = Stopwatch(device), Stopwatch(device)
        runs.append(_this_loop(gssm, _model(gssm, hidden_size), num_steps, ours))
        tokens = gssm.sample(num_steps * BATCH_SIZE, SEQ_LEN)
        hand_written(tokens, BATCH_SIZE, _model(gssm, hidden_size), device, by_hand)
        ratios.append(by_hand.seconds_per_step() / ours.seconds_per_step())
    speed = max(run["tokens_per_s"] for run in runs)
    wait = statistics.median(run["data_wait_share"] for run in runs)
    flops = model_size(_model(gssm, hidden_size), SEQ_LEN).flops_per_token
    peak = matmul_flops_per_s(device)
    what = f"training, hidden {hidden_size}"
    note = f"llama, 4 layers, {SEQ_LEN} x {BATCH_SIZE} tokens, {_name(device)}"
    spread = f"median of {NUM_TURNS} pairs, {min(ratios):.2f} to {max(ratios):.2f}"
    return [
        _row(f"{what}: speed", speed, "tokens/s", "", note),
        _row(f"{what}: speed over a hand-written loop's", statistics.median(ratios), "x",
             ">= 0.95", spread),
        _row(f"{what}: share of time waiting for data", wait, "", "< 0.02", ""),
        _row(f"{what}: sampler's speed over what training takes", sampler / speed, "x", ">= 10",
             f"{sampler / 1e6:.1f} M tokens/s on one thread"),
        _row(f"{what}: share of the device's matrix speed", flops * speed / peak, "", "",
             f"of {peak / 1e9:,.0f} GFLOP/s, measured on one large product"),
    ]  # fmt: skip


class Stopwatch:
    """Times of the beginnings of steps."""

    def __init__(self, device: torch.device) -> None:
        self._clock = time.perf_counter if device.type == "cuda" else time.process_time
        self._times: list[float] = []

    def __call__(self) -> bool:
        """Takes the time; false, so that it can stand as ``should_stop``."""
        self._times.append(self._clock())
        return False

    def seconds_per_step(self) -> float:
        """Median over steps; the first ones set up their memory."""
        between = [b - a for a, b in itertools.pairwise(self._times)]
        return statistics.median(between[2:])


def _row(name: str, value: float, unit: str, goal: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "goal": goal, "note": note}


def _model(gssm: GSSM, hidden_size: int) -> nn.Module:
    config = ModelConfig(hidden_size=hidden_size, num_hidden_layers=4, num_attention_heads=4)
    return build_model(config, gssm.vocab_size, SEQ_LEN, seed=0)


def _this_loop(
    gssm: GSSM, model: nn.Module, num_steps: int, stopwatch: Stopwatch
) -> dict[str, Any]:
    config = TrainConfig(
        steps=num_steps, batch_size=BATCH_SIZE, seq_len=SEQ_LEN, log_every=num_steps,
        eval_sequences=2,
    )  # fmt: skip
    return train(model, gssm, config, should_stop=stopwatch).metrics


def hand_written(
    tokens: NDArray[Any], batch_size: int, model: nn.Module, device: torch.device,
    stopwatch: Stopwatch,
) -> None:  # fmt: skip
    """The least that trains the model on ``tokens`` ``[N, T]``: they lie ready in memory."""
    batches = torch.from_numpy(tokens).long().split(batch_size)
    hugging_face = model.model.to(device)
    assert isinstance(hugging_face, nn.Module)
    optimizer = torch.optim.AdamW(hugging_face.parameters(), lr=1e-3, fused=True)
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    for batch in batches:
        stopwatch()
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = hugging_face(input_ids=batch[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(hugging_face.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def _sampler_tokens_per_s(gssm: GSSM) -> float:
    gssm.sample(256, SEQ_LEN, num_threads=1)
    speeds = []
    for turn in range(9):
        began = time.perf_counter()
        tokens = gssm.sample(256, SEQ_LEN, start=256 * turn, num_threads=1)
        speeds.append(tokens.size / (time.perf_counter() - began))
    return statistics.median(speeds)


def matmul_flops_per_s(device: torch.device) -> float:
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
