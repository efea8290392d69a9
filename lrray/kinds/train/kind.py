"""Kind ``train``: a model trained on one graph of a matched pair, measured against the bound.

::

    kind: train
    pairs:                                        # one file, or several by names of one's choice
      gzip: studies/pairs/four_latents_gzip.yaml  # or results/difficulty/<run>/pairs.yaml
      entropy: studies/pairs/four_latents_entropy.yaml
    grid:
      pair_set: [gzip, entropy]
      pair: [easy_to_infer, easy_to_predict]
      seed: {start: 0, stop: 6}
    model: {type: llama, hidden_size: 64, num_hidden_layers: 2}
    train: {steps: 2000, batch_size: 32, seq_len: 128}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lrray.config import Problem, numbers_in, parse
from lrray.difficulty.compressors import COMPRESSORS, check_compressors, compressor_label
from lrray.errors import LrrayError, did_you_mean
from lrray.gssm import GraphConfig, SequenceModel
from lrray.gssm.kernels import context_nodes
from lrray.gssm.ngrams import MAX_ORDER, check_order
from lrray.kinds.pairs import Pairs
from lrray.kinds.train.branches import branch_of, order, remove_shorter
from lrray.kinds.train.data import needed_data, task
from lrray.kinds.train.packing import check_packed, pack_key
from lrray.kinds.weights import asked_to_keep, keep_newest
from lrray.models.config import ModelConfig
from lrray.references import user_modules
from lrray.studies.cell import digest
from lrray.studies.kind import CellContext, Kind
from lrray.studies.schema import CellStudy
from lrray.training.config import NOT_DECAYED, TrainConfig
from lrray.training.stopping import Stopped


class Study(CellStudy):
    """A training study; every cell trains one model."""

    kind: Literal["train"]
    pairs: Annotated[dict[str, Pairs], Field(min_length=1)]
    """Files as a difficulty study writes them (``pairs.yaml``): one, or several by name."""
    pair_set: str | None = None
    """Which of the files, often an axis of the grid; default: the first."""
    pair: str = "easy_to_infer"
    """Which of its pairs; usually an axis of the grid. Of several with this name, as
    ``match: per_seed`` and ``match: per_draw`` write them, it is the one for the cell's seed."""
    graph: GraphConfig | None = None
    """The graph that the pairs must be of; None: whichever their file names."""
    graph_seed: Annotated[int, Field(ge=0)] | None = None
    """Kernel draw; default: the pair's own seed, or the cell's ``seed``."""
    surrogate: Annotated[int, Field(ge=0, le=MAX_ORDER)] | None = None
    """Order of the graph's Markov surrogate to train on instead of the graph: what n-gram learning
    alone costs. Often an axis of the grid, ``[null, 2]``."""
    model: ModelConfig = ModelConfig()
    train: TrainConfig
    """Its data, model and shuffle seeds are added to the cell's ``seed``."""
    keep_weights: bool | None = None
    """Whether finished cells keep their model's weights; default: those of up to a million
    parameters. No part of a cell's identity."""
    keep_checkpoints: bool = False
    """Whether finished cells leave a checkpoint from which cells of more steps go on, also where
    the grid has no such cell. No part of a cell's identity."""
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
        self.chosen()
        check_compressors(self.compressors, ["zlib", *COMPRESSORS])
        self._check_resources()
        return self

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


def check(studies: Sequence[Study], where: str, data_folder: Path) -> None:
    """Checks what needs heavy imports or files, before any work: each distinct thing once.

    Args:
        studies: the study at each of its points.
        where: opens error lines, usually the file.
        data_folder: where ``lrray data make`` puts the study's data files.

    Raises:
        LrrayError: a model's settings do not fit it or the data; a data file is damaged or of
            other data.
    """
    from lrray.models.check import check_model

    settings = [study.cell_settings() for study in studies]
    seen = set()
    for study in studies:
        if study.surrogate is not None:
            _check_surrogate(study.chosen()[0], study.surrogate, where)
        vocab_size = study.chosen()[0].observed.state_dim
        model = study.tried_model()
        key = digest([model.model_dump(mode="json"), vocab_size, study.train.seq_len])
        if key not in seen:
            seen.add(key)
            try:
                check_model(model, vocab_size, study.train.seq_len)
                if study.resources.pack > 1:
                    check_packed(model, study.train, vocab_size)
            except LrrayError as error:
                got = {"got": error.got} if error.has_value else {}
                place = f"{where}: {error.where}"
                raise LrrayError(place, error.rule, fix=error.fix, **got) from None
    for needed in needed_data(settings):
        needed.check(data_folder)


def _check_surrogate(graph: GraphConfig, order: int, where: str) -> None:
    """Refuses a surrogate that a graph does not have or that is too large."""
    from lrray.gssm.surrogate import check_surrogate

    place = f"{where}: surrogate"
    if context_nodes(graph):
        raise LrrayError(
            place, "a graph with context nodes has no surrogate", got=order, fix="leave it out"
        )
    try:
        check_order(graph, order)
        check_surrogate(graph, order)
    except LrrayError as error:
        raise LrrayError(place, error.rule, got=error.got, fix=error.fix) from None


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Trains one model; returns its held-out loss, the bound and their difference, in bits.

    Raises:
        Stopped: it was asked to; a checkpoint of the step it had reached is there.
    """
    # torch and transformers load only where a model is trained.
    from lrray.models.build import build_model
    from lrray.models.size import model_size
    from lrray.training.distributed import join_workers
    from lrray.training.learner import Learner
    from lrray.training.loop import train

    gssm, config = task(settings)
    model_config = parse(ModelConfig, settings["model"], "model")
    model = build_model(model_config, gssm.vocab_size, config.seq_len, config.model_seed)
    dataset = next((data.found(context) for data in needed_data([settings])), None)
    is_first = join_workers(config.device).is_first
    branch = branch_of(settings, config, context, is_first)
    trained = train(
        model, gssm, config, run_dir=context.checkpoint, dataset=dataset,
        cache_dir=context.shared / "bounds",
        report=lambda metrics: context.log(dict(numbers_in(metrics, "/"))),
        should_stop=context.should_stop, saved=context.commit, branch=branch,
        make_learner=Learner if context.pack is None else context.pack.learner,
    )  # fmt: skip
    if trained.evaluation is None:
        raise Stopped
    if is_first:
        keep_newest(context.checkpoint / "checkpoints", context, asked_to_keep(context))
        if branch is not None:
            remove_shorter(branch, config, context)
    size = model_size(model, config.seq_len)
    return {
        **dict(numbers_in(trained.evaluation.metrics(), "/")),
        **({} if trained.best is None else trained.best.metrics()),
        **_compressed(gssm, config, settings["compressors"]),
        "num_parameters": size.num_parameters,
        "num_non_embedding_parameters": size.num_non_embedding_parameters,
        "flops_per_token": size.flops_per_token,
        "tokens_per_s": trained.step * config.batch_size * config.seq_len / trained.seconds,
    }


def _compressed(gssm: SequenceModel, config: TrainConfig, names: list[str]) -> dict[str, float]:
    """Bits per token of compressors on the held-out sequences."""
    from lrray.difficulty import compress_bits_per_token
    from lrray.training.heldout import heldout_tokens

    if not names:
        return {}
    tokens = heldout_tokens(gssm, config.eval_sequences, config.seq_len)
    return {
        f"{compressor_label(name)}_bits": compress_bits_per_token(tokens[:, 1:], name)
        for name in names
    }


def _load_model(settings: Mapping[str, Any], weights: Path) -> Any:
    """The model that a cell trained."""
    from lrray.models.build import build_model
    from lrray.training.weights import load_weights

    gssm, config = task(settings)
    model_config = parse(ModelConfig, settings["model"], "model")
    model = build_model(model_config, gssm.vocab_size, config.seq_len, config.model_seed)
    return load_weights(model, weights).eval()


KIND = Kind(
    Study=Study,
    run_cell=run_cell,
    results_version=1,
    check=check,
    shown=("excess_bits", "loss_bits", "bound_bits", "accuracy"),
    live=("step", "train_loss_bits", "excess_bits", "tokens_per_s"),
    stops=True,
    order=order,
    report="lrray.reports.train.report",
    graph=lambda settings: task(settings)[0],
    load_model=_load_model,
    pack_key=pack_key,
)
