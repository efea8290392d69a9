"""Settings of a training study: which sequences, which model, how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lrray.config import Problem, Settings, parse
from lrray.difficulty.compressors import COMPRESSORS, check_compressors
from lrray.errors import did_you_mean
from lrray.gssm import GraphConfig
from lrray.gssm.ngrams import MAX_ORDER
from lrray.kinds.pairs import Pairs
from lrray.models.config import ModelConfig
from lrray.references import user_modules
from lrray.studies.schema import CellStudy
from lrray.training.config import NOT_DECAYED, TrainConfig

Alpha = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class Switch(Settings):
    """A latent that is switched in the middle of test sequences, after training."""

    latent: str
    """Its name."""
    at: Annotated[int, Field(ge=1)]
    """Step of the switch."""


class Study(CellStudy):
    """A training study; every cell trains one model."""

    kind: Literal["train"]
    pairs: dict[str, Pairs] = Field(default_factory=dict)
    """Files as a difficulty study writes them (``pairs.yaml``): one, or several by name. A study
    without pairs gives ``graph``, ``alpha_X`` and ``alpha_Z`` instead."""
    alpha_X: Alpha | None = None
    """Of a graph without pairs, the observed node's alpha; often an axis of the grid."""
    alpha_Z: Alpha | None = None
    """The alpha of its latents."""
    pair_set: str | None = None
    """Which of the files, often an axis of the grid; default: the first."""
    pair: str = "easy_to_infer"
    """Which of its pairs; usually an axis of the grid. Of several with this name, as
    ``match: per_seed`` and ``match: per_draw`` write them, it is the one for the cell's seed."""
    graph: GraphConfig | None = None
    """The graph that the pairs must be of; None: whichever their file names. Without pairs, the
    graph itself."""
    graph_seed: Annotated[int, Field(ge=0)] | None = None
    """Kernel draw; default: the pair's own seed, or the cell's ``seed``."""
    surrogate: Annotated[int, Field(ge=0, le=MAX_ORDER)] | None = None
    """Order of the graph's Markov surrogate to train on instead of the graph: what n-gram learning
    alone costs. Often an axis of the grid, ``[null, 2]``."""
    switch: Switch | None = None
    """Measures after training how far the model is from the exact predictions where a latent is
    switched, and where it is not."""
    model: ModelConfig = ModelConfig()
    train: TrainConfig
    """Its data, model and shuffle seeds are added to the cell's ``seed``."""
    keep_weights: bool | None = None
    """Whether finished cells keep their model's weights; default: those of up to a million
    parameters. No part of a cell's identity."""
    keep_checkpoints: bool = False
    """Whether finished cells leave a checkpoint from which cells of more steps go on, also where
    the grid has no such cell. No part of a cell's identity."""
    equivalence_margin_bits: Annotated[float, Field(gt=0)] | None = None
    """Largest difference in excess that counts as none, stated before the run: the report then says
    whether pairs are shown to be equivalent (TOST). No part of a cell's identity."""
    compressors: tuple[str, ...] = ()
    """Compressors measured on the held-out set, in bits per token; ``module:function`` for one's
    own."""

    @field_validator("pairs", mode="before")
    @classmethod
    def _by_name(cls, data: Any) -> Any:
        one_file = isinstance(data, Mapping) and ("graph" in data or "pairs" in data)
        return {"given": data} if one_file else data

    @model_validator(mode="after")
    def _check(self) -> Study:
        if self.train.parallel == "fsdp":
            self.shards_go_to_one_node()
        if self.pair_set is not None and self.pair_set not in self.pairs:
            fix = did_you_mean(self.pair_set, self.pairs)
            raise Problem("must name one of pairs", at="pair_set", got=self.pair_set, fix=fix)
        self._check_source()
        self.chosen()
        check_compressors(self.compressors, ["zlib", *COMPRESSORS])
        self._check_resources()
        return self

    def _check_source(self) -> None:
        alphas = {"alpha_X": self.alpha_X, "alpha_Z": self.alpha_Z}
        lacking = [name for name, alpha in alphas.items() if alpha is None]
        if self.pairs and len(lacking) < len(alphas):
            raise Problem(
                "must be left out where pairs give it", at="alpha_X" if self.alpha_X else "alpha_Z",
                fix="leave out pairs, or this",
            )  # fmt: skip
        if not self.pairs and (self.graph is None or lacking):
            at = "pairs" if self.graph is None else lacking[0]
            raise Problem(
                "must be given, or graph, alpha_X and alpha_Z instead of pairs" if at == "pairs"
                else "must be given where there are no pairs", at=at,
                fix="pairs: studies/pairs/four_latents_entropy.yaml, say",
            )  # fmt: skip
        if self.switch is not None and (self.resources.workers > 1 or self.surrogate is not None):
            raise Problem(
                "needs a cell of one worker on the graph itself", at="switch",
                fix="resources.workers: 1, and no surrogate",
            )  # fmt: skip

    def _check_resources(self) -> None:
        workers = self.resources.workers
        for name in ("batch_size", "eval_sequences"):
            size = getattr(self.train, name)
            if size % workers:
                raise Problem(
                    f"must be divisible by resources.workers, {workers}", at=f"train.{name}",
                    got=size, fix="change one of the two",
                )  # fmt: skip
        if self.train.device == "cuda" and not self.resources.gpu:
            raise Problem(
                "device cuda needs resources.gpu above 0", at="resources.gpu",
                got=self.resources.gpu, fix="resources.gpu: 1, or train.device: cpu",
            )  # fmt: skip

    def chosen(self) -> tuple[GraphConfig, int | None]:
        """The graph of the cell's pair, alphas set, and the kernel draw it was matched for.

        Raises:
            Problem: the pairs file has no such pair, or several.
        """
        if not self.pairs:
            assert self.graph is not None  # checked before
            assert self.alpha_X is not None
            assert self.alpha_Z is not None
            return self.graph.with_missing_alphas(self.alpha_X, self.alpha_Z), None
        pairs = self.pairs[self.pair_set or next(iter(self.pairs))]
        pair = pairs.choose(self.pair, self.seed, self.graph_seed, self.graph)
        return pairs.graph_with_alphas(pair), pair.seed

    def cell_settings(self) -> dict[str, Any]:
        """The graph with its alphas instead of the pairs file, and everything else."""
        graph, draw = self.chosen()
        # Up to 0.2.0 this parameter was decayed: cells of Mamba alone gave other numbers.
        changed = self.model.type == "mamba" and self.train.weight_decay > 0
        return {
            **({"not_decayed": list(NOT_DECAYED)} if changed else {}),
            **({} if self.surrogate is None else {"surrogate": self.surrogate}),
            **({} if self.switch is None else {"switch": self.switch.model_dump()}),
            "graph": graph.to_dict(),
            "graph_seed": self.graph_seed if self.graph_seed is not None else draw,
            "model": self.model.model_dump(mode="json", exclude_none=True),
            "train": self.train.model_dump(mode="json", exclude_none=True),
            "compressors": list(self.compressors),
            "seed": self.seed,
        }

    def tried_model(self) -> ModelConfig:
        """The model as it is checked: with the keys that are searched, which it must know."""
        if self.search_space is None:
            return self.model
        ranges = self.search_space.root.items()
        keys = {k.removeprefix("model."): r.first for k, r in ranges if k.startswith("model.")}
        return parse(ModelConfig, {**keys, **self.model.model_dump()}, "model")

    def user_modules(self) -> tuple[str, ...]:
        """Those of the model and of compressors."""
        return user_modules([self.model.type, *self.compressors])
