"""Kind ``twohop``: fine-tune a chat model on invented facts, ask what takes two.

::

    kind: twohop
    model: meta-llama/Meta-Llama-3-8B-Instruct    # or tiny_world, made on the spot
    dataset: parks
    grid:
      seed: [1, 2, 3]

One cell is one dataset, seed and model. See ``docs/twohop.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrray.config import Problem
from lrray.errors import LrrayError
from lrray.files import write_whole
from lrray.kinds.weights import asked_to_keep, keep_newest
from lrray.studies.kind import CellContext, Kind
from lrray.studies.schema import CellStudy
from lrray.twohop.config import ExperimentConfig
from lrray.twohop.facts import Facts, fingerprint, load_facts, shipped_facts
from lrray.twohop.model_files import model_files

KNOWN_THRESHOLD = 0.5
"""Default of a study's ``known_threshold``."""


class Study(CellStudy, ExperimentConfig):
    """A study of two-hop reasoning."""

    kind: Literal["twohop"]
    dataset: str | None = None
    """A shipped dataset."""
    facts: str | None = None
    """A facts file of your own, in place of a shipped dataset."""
    known_threshold: Annotated[float, Field(ge=0, le=1)] = KNOWN_THRESHOLD
    """The report marks attributes whose second hop the model knows less often than this; no part
    of a cell's identity."""
    keep_weights: bool = False
    """Whether finished cells keep their fine-tuned weights, of adapters these alone; no part of a
    cell's identity."""

    @model_validator(mode="after")
    def _names_one_dataset(self) -> Study:
        if (self.dataset is None) == (self.facts is None):
            raise Problem(
                "exactly one of dataset and facts must be given", at="dataset",
                got={"dataset": self.dataset, "facts": self.facts}, fix="dataset: parks",
            )  # fmt: skip
        try:
            count = len(self.read_facts().entities)
        except LrrayError as error:
            at = "dataset" if self.facts is None else "facts"
            raise Problem(str(error), at=at) from None
        if self.data.people > count:
            raise Problem(
                f"must be at most {count}, the number of entities of {self.facts or self.dataset}",
                at="data.people", got=self.data.people, fix="ask for fewer people",
            )  # fmt: skip
        self.shards_go_to_one_node()
        return self

    def read_facts(self) -> Facts:
        """The facts of the dataset."""
        if self.facts is not None:
            return load_facts(self.facts)
        assert self.dataset is not None  # checked when the settings were read
        return shipped_facts(self.dataset)

    def cell_settings(self) -> dict[str, Any]:
        """Everything that the cell's result depends on; facts of a user's file come as they are."""
        settings = super().cell_settings()
        del settings["known_threshold"], settings["keep_weights"]
        facts = self.read_facts()
        if self.facts is None:
            return {**settings, "facts_sha256": fingerprint(facts)}
        return {**settings, "facts": facts.model_dump(mode="json")}


def check(studies: Sequence[Any], where: str, data_folder: Path) -> None:
    """Refuses models whose file or package is not there, before Ray starts; loads nothing."""
    for name in dict.fromkeys(study.model for study in studies):
        try:
            model_files(name)
        except LrrayError as error:
            value = {"got": error.got} if error.has_value else {}
            place = f"{where}: {error.where}"
            raise LrrayError(place, error.rule, fix=error.fix, **value) from None


def run_cell(settings: Mapping[str, Any], context: CellContext) -> dict[str, Any]:
    """Runs one experiment; every worker of the cell calls it.

    Raises:
        Stopped: it was asked to; a checkpoint of the epoch it had reached is there.
    """
    from lrray.training.distributed import join_workers
    from lrray.twohop.experiment import run_experiment

    (facts, config), seed = _experiment(settings), settings["seed"]
    kept = context.checkpoint / f"seed_{seed}" / "result.json"
    result: dict[str, Any]

    def keep(result: dict[str, Any], weights: Path | None) -> None:
        if weights is not None:
            keep_newest(weights, context, asked=True)
        write_whole(kept, json.dumps(result))
        context.commit()

    if kept.exists():  # its worker was lost before the study had it
        result = json.loads(kept.read_bytes())
    else:
        result = run_experiment(
            facts, config, seed, context.checkpoint, context.log, context.should_stop,
            keep=keep, saved=context.commit, keep_weights=bool(asked_to_keep(context)),
        )  # fmt: skip
    if join_workers(config.finetune.device).is_first:
        _keep_texts(kept.with_name("samples.jsonl"), context)
    return result


def _keep_texts(table: Path, context: CellContext) -> None:
    """Moves the generated texts from the checkpoint, which nobody reads, to the run's results."""
    run = context.shared.parent
    # Below the cell's own name is a seed's, where the cell repeats several.
    name = "_".join(context.checkpoint.relative_to(run / "checkpoints").parts)
    kept = run / "samples" / f"{name}.jsonl"
    kept.parent.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):  # an earlier worker has
        table.replace(kept)


def _load_model(settings: Mapping[str, Any], weights: Path) -> Any:
    """The fine-tuned model of a cell."""
    from lrray.twohop.experiment import load_finetuned

    facts, config = _experiment(settings)
    return load_finetuned(facts, config, settings["seed"], weights)


def _experiment(settings: Mapping[str, Any]) -> tuple[Facts, ExperimentConfig]:
    given = settings["facts"]
    facts = shipped_facts(settings["dataset"]) if given is None else Facts.model_validate(given)
    names = ExperimentConfig.model_fields
    return facts, ExperimentConfig.model_validate({name: settings[name] for name in names})


KIND = Kind(
    Study=Study,
    run_cell=run_cell,
    results_version=2,
    check=check,
    shown=("acc_a", "gap_2hop", "acc_2hop_cot", "acc_2hop_nocot", "commonest_2hop"),
    live=("step", "acc_a", "acc_2hop_cot", "acc_2hop_nocot", "gap_2hop"),  # a step is an epoch
    stops=True,  # after the epoch that they are in
    report="lrray.reports.twohop.report",
    load_model=_load_model,
)
