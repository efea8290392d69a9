"""Kind ``train``: a model trained on one graph of a matched pair, measured against the bound.

::

    kind: train
    pairs: studies/pairs/four_latents_gzip.yaml   # or results/difficulty/<run>/pairs.yaml
    grid:
      pair: [easy_to_infer, easy_to_predict]
      seed: {start: 0, stop: 6}
    model: {type: llama, hidden_size: 64, num_hidden_layers: 2}
    train: {steps: 2000, batch_size: 32, seq_len: 128}
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrray.config import Problem, parse
from lrray.difficulty.compressors import COMPRESSORS
from lrray.errors import did_you_mean
from lrray.gssm import GSSM, GraphConfig
from lrray.models.config import ModelConfig
from lrray.studies.kinds import CellContext
from lrray.studies.spec import CellStudy
from lrray.training.config import TrainConfig

CODE = ("lrray.gssm", "lrray.models", "lrray.training", "lrray.difficulty.compressors")


class MatchedPair(BaseModel):
    """One end of a matched pair, as a difficulty study writes it; further keys are for readers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    alpha_X: Annotated[float, Field(gt=0)]
    alpha_Z: Annotated[float, Field(gt=0)]
    seed: int | None = None
    """The kernel draw that it was matched for; None: it matches the mean over draws."""


class Pairs(BaseModel):
    """A ``pairs.yaml``; further keys are for readers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    graph: GraphConfig
    pairs: Annotated[tuple[MatchedPair, ...], Field(min_length=1)]


class Study(CellStudy):
    """A training study; every cell trains one model."""

    kind: Literal["train"]
    pairs: Pairs
    """The ``pairs.yaml`` of a difficulty study, by path or written out."""
    pair: str = "easy_to_infer"
    """Which of its pairs; usually an axis of the grid."""
    graph_seed: Annotated[int, Field(ge=0)] | None = None
    """Kernel draw; default: the pair's own seed, or the cell's ``seed``."""
    model: ModelConfig = ModelConfig()
    train: TrainConfig
    """Its data, model and shuffle seeds are added to the cell's ``seed``."""
    compressors: tuple[str, ...] = ()
    """Compressors measured on the held-out set, in bits per token."""

    @model_validator(mode="after")
    def _check(self) -> Study:
        names = [pair.name for pair in self.pairs.pairs]
        if self.pair not in names:
            fix = did_you_mean(self.pair, names)
            raise Problem("must name a pair of the pairs file", at="pair", got=self.pair, fix=fix)
        for i, name in enumerate(self.compressors):
            if name not in ("zlib", *COMPRESSORS):
                fix = did_you_mean(name, ["zlib", *COMPRESSORS])
                raise Problem("unknown compressor", at=f"compressors[{i}]", got=name, fix=fix)
        return self

    def cell_settings(self) -> dict[str, Any]:
        """The graph with its alphas instead of the pairs file, and everything else."""
        chosen = next(pair for pair in self.pairs.pairs if pair.name == self.pair)
        graph = self.pairs.graph.with_alphas(chosen.alpha_X, chosen.alpha_Z)
        return {
            "graph": graph.to_dict(),
            "graph_seed": self.graph_seed if self.graph_seed is not None else chosen.seed,
            "model": self.model.model_dump(mode="json", exclude_none=True),
            "train": self.train.model_dump(mode="json", exclude_none=True),
            "compressors": list(self.compressors),
            "seed": self.seed,
        }


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Trains one model; returns its held-out loss, the bound and their difference, in bits."""
    # torch and transformers load only where a model is trained.
    from lrray.models.build import build_model
    from lrray.models.size import model_size
    from lrray.training.dataset import write_dataset
    from lrray.training.loop import train

    seed = settings["seed"]
    own = settings["graph_seed"]
    gssm = GSSM(parse(GraphConfig, settings["graph"], "graph"), seed if own is None else own)
    config = _seeded(parse(TrainConfig, settings["train"], "train"), seed)
    model_config = parse(ModelConfig, settings["model"], "model")
    model = build_model(model_config, gssm.vocab_size, config.seq_len, config.model_seed)
    dataset = None
    if config.num_train_sequences is not None:
        name = f"seed-{gssm.seed}-{config.data_seed}-{_digest(settings['graph'])}.h5"
        dataset = context.shared / "data" / f"{config.num_train_sequences}-{config.seq_len}-{name}"
        write_dataset(dataset, gssm, config.num_train_sequences, config.seq_len, config.data_seed)
    began = time.perf_counter()
    trained = train(
        model, gssm, config, run_dir=context.checkpoint, dataset=dataset,
        cache_dir=context.shared / "bounds", report=lambda metrics: context.log(_flat(metrics)),
    )  # fmt: skip
    assert trained.evaluation is not None  # a cell is only stopped by ending its process
    size = model_size(model, config.seq_len)
    return {
        **_flat(trained.evaluation.metrics()),
        **_compressed(gssm, config, settings["compressors"]),
        "num_parameters": size.num_parameters,
        "num_non_embedding_parameters": size.num_non_embedding_parameters,
        "flops_per_token": size.flops_per_token,
        "tokens_per_s": config.num_steps * config.batch_size * config.seq_len
        / (time.perf_counter() - began),
    }  # fmt: skip


def _seeded(config: TrainConfig, seed: int) -> TrainConfig:
    names = ("data_seed", "model_seed", "shuffle_seed")
    return config.model_copy(update={name: getattr(config, name) + seed for name in names})


def _compressed(gssm: GSSM, config: TrainConfig, names: list[str]) -> dict[str, float]:
    """Bits per token of compressors on the held-out sequences."""
    from lrray.difficulty import compress_bits_per_token
    from lrray.training.heldout import make_heldout

    if not names:
        return {}
    tokens = make_heldout(gssm, config.eval_sequences, config.seq_len).tokens
    return {f"{name}_bits": compress_bits_per_token(tokens[:, 1:], name) for name in names}


def _flat(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Nested numbers by joined names; whatever is no number is left out."""
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{key}": number for key, number in _flat(value).items()}
        elif isinstance(value, int | float):
            flat[name] = value
    return flat


def _digest(graph: Mapping[str, Any]) -> str:
    from lrray.studies.identity import digest

    return digest(graph)
