"""Whether ``torch.compile`` pays for a run, and where compiled code is kept.

Measured on one CPU thread (models of hidden size 8 to 128) a compiled step is 0.98 to 1.18 times as
fast as a plain one, and compiling takes 30 to 90 s the first time, 1 to 11 s from a cache. So
``compile: auto`` tries it where a run is long, and keeps it where it is clearly faster.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lrray.files import write_whole
from lrray.training.config import TrainConfig
from lrray.training.distributed import Workers
from lrray.training.precision import use_bf16

LEAST_S = 600.0
"""Seconds of plain steps from which a run is long enough to try: at the least gain that counts,
what is saved is what compiling costs."""

LEAST_GAIN = 1.15
"""Median time of a plain step over that of a compiled one."""

_CACHE = "TORCHINDUCTOR_CACHE_DIR"
_NUM_WARMUP, _NUM_TIMED = 2, 7


@contextmanager
def compile_cache(config: TrainConfig, folder: Path | None) -> Iterator[None]:
    """Within it compiled code is kept in ``folder``, for further runs with the same model.

    Where the user has named a folder for it in the environment, that one is used. Before and after,
    what this process has compiled is let go: Dynamo compiles one ``forward`` for eight shapes and
    runs the ninth plain, without an error; a worker trains cells of any number of shapes.
    """
    if not config.compile:
        yield
        return
    before = os.environ.get(_CACHE)
    torchs_own = str(Path(tempfile.gettempdir()) / "torchinductor_")  # what it sets itself
    if before is not None and before.startswith(torchs_own):
        before = None
    if before is None and folder is not None:
        os.environ[_CACHE] = str(folder.resolve() / "compiled")
    torch.compiler.reset()
    try:
        yield
    finally:
        torch.compiler.reset()
        os.environ.pop(_CACHE, None)  # torch sets it too, when it compiles
        if before is not None:
            os.environ[_CACHE] = before


def decided(
    model: nn.Module, config: TrainConfig, vocab_size: int, workers: Workers, folder: Path | None
) -> TrainConfig:
    """The settings with ``compile: auto`` decided; all workers together.

    Runs of one model and batch that share a folder decide alike: the first one's measurement
    counts. So does a run that goes on.
    """
    if config.compile != "auto":
        return config
    kept = None if folder is None else folder / f"compile_{_key(model, config, workers)}.json"
    pays = False
    if workers.is_first:
        known = None if kept is None else _read(kept)
        if known is None:
            known = _measure(model.to(workers.device), config, vocab_size, workers)
            if kept is not None:
                write_whole(kept, json.dumps(known))
        pays = known["gain"] >= LEAST_GAIN
    return config.model_copy(update={"compile": workers.any(pays)})


def _measure(
    model: nn.Module, config: TrainConfig, vocab_size: int, workers: Workers
) -> dict[str, float]:
    """Seconds of a plain step and what compiling gains; 0 where it is not tried."""
    rows = config.batch_size // workers.world_size
    rows = min(rows, config.micro_batch_size or rows)
    tokens = torch.zeros(rows, config.seq_len, dtype=torch.int64, device=workers.device)
    tokens += torch.arange(config.seq_len, device=workers.device) % vocab_size
    plain = _step_of(copy.deepcopy(model), tokens, use_bf16(config, workers.device))
    seconds = statistics.median(_times(plain)[_NUM_WARMUP:])
    num_parts = -(-(config.batch_size // workers.world_size) // rows)
    if seconds * num_parts * config.num_steps < LEAST_S:
        return {"plain_s": seconds, "gain": 0.0}
    compiled_model = copy.deepcopy(model)
    compiled_model.compile()
    compiled = _step_of(compiled_model, tokens, use_bf16(config, workers.device))
    try:
        _times(compiled)
        pairs = [(_timed(plain), _timed(compiled)) for _ in range(_NUM_TIMED)]
    except Exception:  # no compiler on this machine, or a model that cannot be compiled
        return {"plain_s": seconds, "gain": 0.0}
    gain = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    return {"plain_s": seconds, "gain": gain}


def _step_of(model: nn.Module, tokens: Tensor, bf16: bool) -> Callable[[], None]:
    """Forward and backward pass, without the optimizer's step."""

    def step() -> None:
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16):
            logits = model(tokens[:, :-1])
        cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten()).backward()
        model.zero_grad()
        if tokens.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def _times(step: Callable[[], None]) -> list[float]:
    return [_timed(step) for _ in range(_NUM_WARMUP + _NUM_TIMED)]


def _timed(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _read(path: Path) -> dict[str, float] | None:
    """An earlier decision; None where there is none that can be read."""
    try:
        known = json.loads(path.read_bytes())
        return {"plain_s": float(known["plain_s"]), "gain": float(known["gain"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _key(model: nn.Module, config: TrainConfig, workers: Workers) -> str:
    """What a measurement depends on, the machine apart."""
    shapes = [(name, tuple(p.shape)) for name, p in model.named_parameters()]
    facts = [
        str(model), shapes, config.batch_size, config.micro_batch_size, config.seq_len,
        config.num_steps, config.precision, workers.device.type, workers.world_size,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:16]
