"""The exact likelihood on the device, and why the sampler stays on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gpu.device import DEVICE, peak_gb, seconds
from benchmarks.gpu.sizes import Size
from benchmarks.table import row
from lrray.gssm import GSSM
from lrray.training.device_likelihood import nll_on_device

NUM_TOKENS, ALPHA, CHECKED = 64, 0.05, 4


def measure(size: Size) -> list[dict[str, Any]]:
    """Speed, memory and error against the compiled likelihood."""
    names = [f"Z{i + 1}" for i in range(size.likelihood_latents)]
    latents = [
        {"name": name, "state_dim": 4, "alpha": ALPHA, "parents": ["X"], "kernel_type": "fullrank"}
        for name in names
    ]
    observed = {"name": "X", "state_dim": 64, "alpha": ALPHA, "parents": names, "observed": True}
    gssm = GSSM.from_config({"nodes": [*latents, observed]}, seed=42)
    tokens = gssm.sample(size.likelihood_sequences, NUM_TOKENS)
    apart = nll_on_device(gssm, tokens[:CHECKED], DEVICE)
    exact = gssm.nll(tokens[:CHECKED], per_token=True)
    with peak_gb() as peak:
        took = seconds(lambda: nll_on_device(gssm, tokens, DEVICE))
    sampled = seconds(lambda: gssm.sample(4096, NUM_TOKENS))
    what = f"likelihood, {gssm.graph.num_joint_states:,} joint states"
    return [
        row(f"{what}: speed", tokens.size / took, "tokens/s", ">= 10,000", "float32"),
        row(f"{what}: memory", peak[0], "GB", "< 4", ""),
        row(f"{what}: error", float(np.abs(apart - exact).max()), "nats", "<= 1e-4", "of a token"),
        row("sampling on the CPU", 4096 * NUM_TOKENS / sampled, "tokens/s", "",
            "threads: all; ahead of what training takes, so it stays there"),
    ]  # fmt: skip
