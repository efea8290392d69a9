"""How a model is trained: length, batch, optimizer, precision, seeds and what is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lrray.config import NullSaysMore, Problem

PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

NOT_DECAYED = ("A_log",)
"""Two-dimensional parameters that are no matrices: the logarithms of Mamba's decay rates, one per
channel and state, which its authors exempt (Gu and Dao 2023)."""


class TrainConfig(NullSaysMore):
    """Settings of one training run; the same result for every number of workers."""

    steps: PositiveInt | None = None
    """Optimizer steps; give this or ``tokens``."""
    tokens: PositiveInt | None = None
    """Tokens to train on, rounded up to whole steps of ``batch_size * seq_len``."""
    batch_size: PositiveInt = 32
    """Sequences per optimizer step over all workers together."""
    micro_batch_size: PositiveInt | None = None
    """Most sequences in one forward pass of one worker; gradients accumulate over the rest."""
    seq_len: Annotated[int, Field(ge=2)] = 256
    """Tokens per sequence, the begin token included."""
    num_train_sequences: PositiveInt | None = None
    """Finite data: train in epochs over the first so many of the stream; else all are new."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    """Peak learning rate."""
    schedule: Literal["constant", "linear", "cosine", "wsd"] = "constant"
    """After the warm-up: stay, fall in a line, fall as a cosine, or stay and fall at the end."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises from 0 to its peak."""
    min_lr_ratio: Share = 0.0
    """Learning rate at the end over its peak, for the schedules that fall."""
    decay_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of all steps in which ``wsd`` falls."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's decay of matrices; vectors (norms, biases) and Mamba's ``A_log`` are not decayed."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )
    """AdamW's averaging of gradients and of their squares."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Gradients of a larger norm are scaled down to it; none: no clipping."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto``: a GPU where there is one."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """``auto``: bf16 autocast on GPUs that have it, else float32; weights stay float32."""
    compile: bool | Literal["auto"] = False
    """Whether the model goes through ``torch.compile``; ``auto``: in a run that is long enough to
    pay for it and measures a gain (:mod:`lrray.training.compiling`)."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Several workers: whole copies of the model (DDP) or shards of it (FSDP2)."""

    data_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Which stream of training sequences."""
    model_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Initial weights (given to ``build_model`` by the caller) and dropout."""
    shuffle_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Order of finite data in each epoch."""

    log_every: PositiveInt = 10
    """Steps between reports of the training loss."""
    eval_every: PositiveInt | None = None
    """Steps between evaluations; the end is always evaluated."""
    eval_sequences: Annotated[int, Field(ge=2)] = 256
    """Held-out sequences, the same for every run on a graph; few understate the excess."""
    eval_batch_size: PositiveInt = 64
    """Most sequences in one forward pass of an evaluation."""
    checkpoint_every: PositiveInt | None = None
    """Steps between checkpoints; a stopped run always writes one."""
    keep_last: PositiveInt = 2
    """Checkpoints kept."""

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if (self.steps is None) == (self.tokens is None):
            raise Problem(
                "exactly one of steps and tokens must be given",
                at="steps",
                got={"steps": self.steps, "tokens": self.tokens},
                fix="write e.g. 'steps: 2000'",
            )
        if self.warmup_steps > self.num_steps:
            raise Problem(
                f"must be at most the number of steps, {self.num_steps}",
                at="warmup_steps",
                got=self.warmup_steps,
                fix="warm up for fewer steps",
            )
        return self

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the whole run."""
        if self.steps is not None:
            return self.steps
        assert self.tokens is not None  # checked when the settings were read
        return -(-self.tokens // (self.batch_size * self.seq_len))
