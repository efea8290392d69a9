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
from typing import TYPE_CHECKING, Any

from lrray.config import numbers_in, parse
from lrray.difficulty.compressors import compressor_label
from lrray.errors import LrrayError
from lrray.gssm import GraphConfig, SequenceModel
from lrray.gssm.kernels import context_nodes
from lrray.gssm.ngrams import check_order
from lrray.kinds.train.branches import branch_of, order, remove_shorter
from lrray.kinds.train.data import needed_data, task
from lrray.kinds.train.packing import check_packed, pack_key
from lrray.kinds.train.settings import Study as Study
from lrray.kinds.train.settings import Switch
from lrray.kinds.train.work import work
from lrray.kinds.weights import asked_to_keep, keep_newest
from lrray.models.config import ModelConfig
from lrray.studies.cell import digest
from lrray.studies.kind import CellContext, Kind
from lrray.training.config import TrainConfig
from lrray.training.stopping import Stopped

if TYPE_CHECKING:  # with torch
    from lrray.training.loop import TrainResult


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
        if study.switch is not None:
            _check_switch(study, study.switch, where)
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


def _check_switch(study: Study, switch: Switch, where: str) -> None:
    """Refuses a switch that a study's graph or sequences do not have."""
    from lrray.gssm import GSSM
    from lrray.gssm.switching import check_switch

    try:
        check_switch(GSSM(study.chosen()[0], 0), switch.latent, switch.at, study.train.seq_len)
    except LrrayError as error:
        place = f"{where}: switch.{error.where}"
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
    adapted = _adapted(model, trained, gssm, config, settings.get("switch"))
    if is_first:
        keep_newest(context.checkpoint / "checkpoints", context, asked_to_keep(context))
        if branch is not None:
            remove_shorter(branch, config, context)
    size = model_size(model, config.seq_len)
    return {
        **dict(numbers_in(trained.evaluation.metrics(), "/")),
        **({} if trained.best is None else trained.best.metrics()),
        **_compressed(gssm, config, settings["compressors"]),
        **adapted,
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


def _adapted(
    model: Any,
    trained: TrainResult,
    gssm: SequenceModel,
    config: TrainConfig,
    switch: Mapping[str, Any] | None,
) -> dict[str, float]:
    """Divergences after a switch of a latent; nothing where none is asked for."""
    from lrray.gssm import GSSM
    from lrray.training.adaptation import adaptation
    from lrray.training.weights import load_trained

    if switch is None:
        return {}
    assert isinstance(gssm, GSSM)  # checked with the study
    assert trained.checkpoint is not None  # a study's cell has a folder for it
    # Cells that are trained side by side have their weights in one stack with the others'.
    model = load_trained(model, trained.checkpoint)
    sizes = (config.eval_sequences, config.seq_len, config.eval_batch_size)
    found = adaptation(model, gssm, switch["latent"], switch["at"], *sizes)
    return dict(numbers_in(found, "/"))


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
    work=work,
)
