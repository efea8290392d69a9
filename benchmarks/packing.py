"""What packing cells costs or saves on CPUs; ``python -m benchmarks.packing``.

The same cells are trained one after the other and side by side, in turns; seconds are the process's
CPU time, all threads together. On a GPU ``python -m benchmarks.gpu`` measures it.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

import torch

from benchmarks.table import row, show
from benchmarks.training import GRAPH
from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.training import TrainConfig
from lrray.training.learner import Learner
from lrray.training.loop import MakeLearner, train
from lrray.training.packing import Pack

NUM_CELLS, STEPS, NUM_TURNS = 8, 12, 3
SEQ_LEN, BATCH_SIZE, HIDDEN_SIZE, LAYERS = 128, 32, 32, 2


def measure() -> list[dict[str, Any]]:
    """Rows for models of the size that ``latents`` trains, and for a recurrent one."""
    return [_row(kind) for kind in ("llama", "mingru")]


def _row(kind: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    ratios = []
    for turn in range(NUM_TURNS + 1):
        alone = _cpu_seconds(lambda: [_train(kind, seed) for seed in range(NUM_CELLS)])
        packed = _cpu_seconds(lambda: _train_packed(kind))
        if turn:  # the first one compiles and fills caches
            ratios.append(alone / packed)
    note = f"{NUM_CELLS} cells, {kind}, hidden {HIDDEN_SIZE}, {LAYERS} layers, CPU seconds"
    what = "packed cells: speed over cells one after the other"
    return row(f"{what}, {kind}", statistics.median(ratios), "x", ">= 0.8", note)


def _cpu_seconds(do: Any) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def _train(kind: str, seed: int, make_learner: MakeLearner = Learner) -> None:
    config = TrainConfig(
        steps=STEPS, batch_size=BATCH_SIZE, seq_len=SEQ_LEN, eval_sequences=2, device="cpu",
        data_seed=seed, model_seed=seed, learning_rate=1e-3 * (seed + 1),
    )  # fmt: skip
    gssm = GSSM.from_config(GRAPH, seed=42)
    size = {"hidden_size": HIDDEN_SIZE, "num_hidden_layers": LAYERS}
    model = build_model(ModelConfig(type=kind, **size), gssm.vocab_size, SEQ_LEN, seed)
    train(model, gssm, config, make_learner=make_learner)


def _train_packed(kind: str) -> None:
    pack = Pack(NUM_CELLS)

    def member(seed: int) -> None:
        with pack.member():
            _train(kind, seed, pack.learner)

    threads = [threading.Thread(target=member, args=(seed,)) for seed in range(NUM_CELLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    show(measure(), "packing")
