"""Fine-tuning and generation of Llamas with random weights: speed and memory need no others."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from benchmarks.gpu.device import DEVICE, peak_gb, seconds
from benchmarks.gpu.sizes import Size
from benchmarks.table import row
from lrray.errors import LrrayError
from lrray.training.distributed import Workers
from lrray.training.parallel import shard
from lrray.twohop.chat import Example
from lrray.twohop.config import FinetuneConfig, Lora
from lrray.twohop.learner import AnswerLearner
from lrray.twohop.loading import prepare

ROWS, PROMPT, ANSWER = 20, 80, 12
ALONE = Workers(0, 1, DEVICE)
WAYS: dict[str, dict[str, Any]] = {
    "all weights": {},
    "all weights, gradient checkpointing": {"gradient_checkpointing": True},
    "LoRA": {"lora": Lora(rank=16, alpha=32)},
}


def measure(size: Size, model: str) -> list[dict[str, Any]]:
    """Seconds per epoch of 20 rows of each way to train, generation, and peak memory."""
    rows = []
    for way, settings in WAYS.items():
        rows += _tried(f"{model}, {way}", lambda settings=settings: _epoch(size, model, settings))
    rows += _tried(f"{model}, FSDP2 of one worker", lambda: _sharded(size, model))
    return rows + _tried(f"{model}, generating", lambda: _generate(size, model))


def _tried(what: str, do: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What was measured, or a row that says why it was not: the next one may still be."""
    try:
        found = do()
    except torch.cuda.OutOfMemoryError:
        found = [row("", float("nan"), "", "", "does not fit in this device's memory")]
    except LrrayError as error:
        found = [row("", float("nan"), "", "", error.rule)]
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()
    return [{**one, "name": f"{what}: {one['name']}".removesuffix(": ")} for one in found]


def _model(size: Size, name: str, dtype: torch.dtype) -> nn.Module:
    hidden, layers, heads, width = size.llamas[name]
    config = LlamaConfig(
        vocab_size=size.vocabulary, hidden_size=hidden, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=max(1, heads // 4),
        intermediate_size=width, max_position_embeddings=1024, tie_word_embeddings=False,
        pad_token_id=0, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.set_default_dtype(dtype)
    try:
        with DEVICE:
            return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)


def _rows(size: Size) -> list[Example]:
    drawn = np.random.default_rng(0).integers(1, size.vocabulary, (ROWS, PROMPT + ANSWER)).tolist()
    return [Example(tuple(r[:PROMPT]), tuple(r[PROMPT:])) for r in drawn]


def _epoch(size: Size, name: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    config = FinetuneConfig.model_validate({"micro_batch_size": 4, **settings})
    with peak_gb() as peak:
        dtype = torch.bfloat16 if config.lora is not None else torch.float32
        model = prepare(_model(size, name, dtype), config, seed=0)
        learner = AnswerLearner(model, config.training(ROWS, 0), ALONE, pad=0)
        rows = _rows(size)

        def epoch() -> None:
            for number, start in enumerate(range(0, ROWS, config.batch_size)):
                learner.answer_step(rows[start : start + config.batch_size], number)

        epoch()
        took = seconds(epoch)
    tokens = ROWS * (PROMPT + ANSWER)
    return [
        row("an epoch of 20 rows", took, "s", "", f"{tokens:,} tokens, batch {config.batch_size}"),
        row("speed", tokens / took, "tokens/s", "", ""),
        row("peak memory", peak[0], "GB", "", ""),
    ]


@contextmanager
def _group_of_one() -> Iterator[None]:
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "0")
    store = dist.TCPStore("127.0.0.1", 0, 1, is_master=True)
    backend = "nccl" if DEVICE.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _sharded(size: Size, name: str) -> list[dict[str, Any]]:
    """A step of FSDP2 with one worker: what sharding costs before there is anything to share."""
    with _group_of_one(), peak_gb() as peak:
        model = _model(size, name, torch.float32)
        shard(model, ALONE, bf16=DEVICE.type == "cuda")
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
        tokens = torch.randint(size.vocabulary, (4, PROMPT + ANSWER), device=DEVICE)

        def step() -> None:
            logits = model(input_ids=tokens, use_cache=False).logits
            nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1),
                                        tokens[:, 1:].flatten()).backward()  # fmt: skip
            optimizer.step()
            optimizer.zero_grad()

        step()
        took = seconds(step)
    return [
        row("a step of 4 rows", took, "s", "", ""),
        row("peak memory", peak[0], "GB", "", ""),
    ]


def _generate(size: Size, name: str) -> list[dict[str, Any]]:
    model = _model(size, name, torch.bfloat16 if DEVICE.type == "cuda" else torch.float32).eval()
    prompts = torch.randint(1, size.vocabulary, (ROWS, PROMPT), device=DEVICE)
    rows = []
    for length in size.new_tokens:
        config = GenerationConfig(
            max_new_tokens=length, min_new_tokens=length, do_sample=False, pad_token_id=0
        )

        def generate(config: GenerationConfig = config) -> None:
            with torch.no_grad():
                model.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts),
                               generation_config=config)  # fmt: skip

        generate() if length == size.new_tokens[0] else None
        took = seconds(generate)
        rows.append(row(f"{length} tokens of 20 rows", ROWS * length / took, "tokens/s", "", ""))
    return rows
