"""Settings of an experiment: model, data, fine-tuning, evaluation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrray.config import NullSaysMore, Problem, Settings
from lrray.training import TrainConfig
from lrray.twohop.splits import DataConfig
from lrray.twohop.trl_keys import translate

TINY_WORLD = "tiny_world"
"""Asks for the tiny world where else a model's name stands."""

TaskName = Literal[
    "semi_synthetic",
    "fully_synthetic",
    "same_document",
    "same_document_distractors",
    "in_context",
]
"""Which facts are invented and in which documents they stand: see :mod:`lrray.twohop.tasks`."""

PositiveInt = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]


class Lora(Settings):
    """Low-rank adapters (Hu et al. 2021) instead of training every weight."""

    rank: PositiveInt = 16
    alpha: PositiveInt = 32
    """Adapters are scaled by ``alpha / rank``."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Which layers get adapters, as ``peft`` names them."""


class FinetuneConfig(NullSaysMore):
    """Fine-tuning on one dataset's first-hop facts; equal for every number of workers.

    Also takes the keys of trl's and accelerate's YAML, see :mod:`lrray.twohop.trl_keys`.
    """

    epochs: Annotated[int, Field(ge=0)] = 20
    """0: the model is only asked."""
    batch_size: PositiveInt = 4
    """Rows per optimizer step over all workers together."""
    micro_batch_size: PositiveInt | None = None
    """Most rows in one forward pass of one worker; gradients accumulate over the rest."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 7.5e-7
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """How the learning rate falls from its peak, where it starts, to 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    replay_rows: Annotated[int, Field(ge=0)] = 0
    """Rows of the tiny world's pretraining added to every step, so that it does not forget."""
    lora: Lora | None = None
    """None: all weights are trained."""
    gradient_checkpointing: bool = False
    """Recomputes activations in the backward pass: less memory, more time."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """``auto``: bf16 autocast on GPUs that have it, else float32."""
    checkpoint_every: PositiveInt | None = 5
    """Epochs between checkpoints, from which a killed cell goes on; none: it starts anew."""

    @model_validator(mode="before")
    @classmethod
    def _take_trl_keys(cls, data: Any) -> Any:
        return translate(data, cls.model_fields)

    def steps_per_epoch(self, num_rows: int) -> int:
        """Optimizer steps of an epoch; the last one may be of fewer rows."""
        return -(-num_rows // self.batch_size)

    def training(self, num_rows: int, seed: int) -> TrainConfig:
        """The same settings as the training core takes them."""
        return TrainConfig(
            steps=max(1, self.epochs * self.steps_per_epoch(num_rows)),
            batch_size=self.batch_size,
            micro_batch_size=self.micro_batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            weight_decay=self.weight_decay,
            betas=self.betas,
            max_grad_norm=self.max_grad_norm,
            device=self.device,
            precision=self.precision,
            parallel="fsdp",
            model_seed=seed,
        )


class EvaluateConfig(Settings):
    """What is measured, and how often."""

    every: PositiveInt = 1
    """Epochs between evaluations; before training and at the end there always is one."""
    generate_every: PositiveInt = 1
    """Epochs between evaluations that also generate texts, which takes most of the time."""
    batch_size: PositiveInt = 32
    """Most rows in one forward pass of one worker."""
    max_new_tokens: PositiveInt = 50
    """Room for an immediate answer."""
    max_new_tokens_cot: PositiveInt = 200
    """Room for reasoning and answer."""


class TinyWorldConfig(Settings):
    """Size of the model and its pretraining."""

    hidden_size: PositiveInt = 128
    num_hidden_layers: PositiveInt = 2
    num_attention_heads: PositiveInt = 4
    intermediate_size: PositiveInt = 256
    steps: PositiveInt = 400
    batch_size: PositiveInt = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Peak; it falls as a cosine."""
    other_people: PositiveInt = 250
    """People whose first hops and worked answers are taught."""
    noise_people: PositiveInt = 40
    """People about whom every answer at once is random: teaches the form, not a way to know."""
    first_hop_weight: Weight = 1.0
    second_hop_weight: Weight = 1.0
    cot_weight: Weight = 2.0
    noise_weight: Weight = 0.4


class ExperimentConfig(Settings):
    """Settings of an experiment, dataset and seed aside."""

    model: str = TINY_WORLD
    """A chat model's name on the Hub or its folder; ``tiny_world``: a small one, made here."""
    tiny_world: TinyWorldConfig = TinyWorldConfig()
    """Of the small one."""
    task: TaskName = "semi_synthetic"
    data: DataConfig = DataConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _settings_go_together(self) -> ExperimentConfig:
        if self.finetune.replay_rows and self.model != TINY_WORLD:
            raise Problem(
                "only the tiny world has rows to replay",
                at="finetune.replay_rows", got=self.finetune.replay_rows, fix="leave it out",
            )  # fmt: skip
        if self.task == "in_context" and self.finetune.epochs:
            raise Problem(
                "task in_context trains nothing",
                at="finetune.epochs", got=self.finetune.epochs, fix="set it to 0",
            )  # fmt: skip
        return self
