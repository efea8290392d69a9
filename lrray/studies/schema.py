"""Study files: what every kind has in common, and how a file becomes a checked study."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lrray.config import Problem, Settings
from lrray.errors import did_you_mean
from lrray.references import is_reference
from lrray.studies.resources import Resources
from lrray.studies.space import SearchSpace
from lrray.studies.tracking import StorageAddress, Tracking

if TYPE_CHECKING:  # Optuna loads where a study searches
    from optuna.samplers import BaseSampler

_OPTUNAS = ("tpe", "gp", "random", "grid")
SAMPLERS = ("level_set", *_OPTUNAS)
"""Names of the shipped samplers."""


def _known(*samplers: str) -> AfterValidator:
    """Lets the shipped samplers pass, and references to any other."""

    def check(sampler: str) -> str:
        if sampler not in samplers and not is_reference(sampler):
            rule = f"must be {', '.join(map(repr, samplers))} or module:Class"
            raise Problem(rule, got=sampler, fix=did_you_mean(sampler, samplers))
        return sampler

    return AfterValidator(check)


MANY = 100_000
"""Most seeds and most trials: more is a slip of the pen."""


def _checked_seeds(value: Any) -> Any:
    if isinstance(value, list | tuple):
        fine = len(value) > 0 and all(type(seed) is int and seed >= 0 for seed in value)
    else:
        fine = type(value) is int and 1 <= value <= MANY
    if not fine:
        rule = f"must be a number of seeds, 1 to {MANY}, or a list of them"
        raise Problem(rule, got=value, fix="seeds: 24, or seeds: [0, 1, 2]")
    return value


SeedSetting = Annotated[int | tuple[int, ...], BeforeValidator(_checked_seeds)]
"""A number of seeds, or the seeds themselves."""


class Search(Settings):
    """How a search proposes its trials."""

    sampler: Annotated[str, _known(*SAMPLERS)] = "level_set"
    """``level_set`` (randomised straddle), Optuna's ``tpe``, ``gp``, ``random``, ``grid``, or
    ``module:Class`` for any other ``BaseSampler`` of Optuna's or one's own."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of a sampler of ``module:Class``, by name."""
    num_trials: Annotated[int, Field(ge=1, le=MANY)] = 32
    """Trials in all; resuming finishes exactly this many."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the sampler."""

    @model_validator(mode="after")
    def _sampler_can_be_made(self) -> Search:
        if is_reference(self.sampler):
            self.custom_sampler(self.seed)
        elif self.options:
            raise Problem(
                "are those of a sampler of module:Class", at="options", got=self.options,
                fix="sampler: optuna.samplers:TPESampler, say",
            )  # fmt: skip
        return self

    def custom_sampler(self, seed: int) -> BaseSampler:
        """The sampler of ``module:Class``."""
        from lrray.studies.sampler import custom_sampler

        return custom_sampler(self.sampler, self.options, seed)

    def try_sampler(self, space: SearchSpace) -> None:
        """Lets a sampler of ``module:Class`` propose once.

        Raises:
            Problem: it cannot.
        """
        from lrray.studies.sampler import try_sampler

        if is_reference(self.sampler):
            try_sampler(self.custom_sampler(self.seed), self.sampler, space.to_optuna())


def _readable(text: str) -> str:
    """A text that a terminal shows: escape sequences could do anything there."""
    if any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in text):
        raise Problem("must hold no control characters", got=text, fix="take them out")
    return text


AROUND = frozenset({"kind", "question", "hypothesis", "resources", "tracking", "storage"})
"""Keys of a study that are no part of a cell: nothing that it computes depends on them."""


class StudyBase(Settings):
    """What every study file holds; beside it ``grid:`` (see :mod:`lrray.studies.grid`)."""

    kind: str
    """Which kind of study the file describes."""
    question: Annotated[str, Field(min_length=1), AfterValidator(_readable)]
    """What the study asks, in one sentence."""
    hypothesis: Annotated[str, Field(min_length=1), AfterValidator(_readable)]
    """What is expected, written before the run."""
    resources: Resources = Resources()
    """What one cell needs."""
    tracking: Tracking = Tracking()
    """Where cells are shown beside the results folder."""
    search: Search | None = None
    """How trials are proposed, where the study searches."""
    storage: StorageAddress | None = None
    """Where results last when nodes share no disk: ``s3://…``, ``gs://…``, a path; None: in the
    results folder, which all nodes must see."""

    def user_modules(self) -> tuple[str, ...]:
        """Modules of the user's own that a cell's result depends on."""
        return ()

    def shards_go_to_one_node(self) -> None:
        """For kinds whose workers each write a part of a checkpoint.

        Raises:
            Problem: they may stand on several nodes, and a storage takes one node's files.
        """
        scattered = self.resources.workers > 1 and not self.resources.gpu
        if self.storage is not None and scattered:
            raise Problem(
                "takes no sharded checkpoints of CPU workers, which may stand on several nodes",
                at="storage", got=self.storage,
                fix="resources.workers=1, GPUs (their workers share a node), or a shared folder",
            )  # fmt: skip


class CellSearch(Search):
    """A search over settings of a cell, for one number of its result."""

    sampler: Annotated[str, _known(*_OPTUNAS)] = "tpe"
    """One of Optuna's, or ``module:Class``."""
    metric: str
    """Name of the number in the cell's result (and in its curves, for a scheduler)."""
    mode: Literal["min", "max"] = "min"
    """Whether smaller or larger is better."""
    seeds: SeedSetting = (0,)
    """Seeds that each trial repeats; it is judged by their mean."""
    scheduler: Literal["none", "asha", "median"] = "none"
    """Stops bad trials early, judged by ``metric`` in their curves over ``step``."""
    max_step: Annotated[int, Field(ge=1)] = 100
    """Largest ``step`` of a curve, for the scheduler."""
    grace_period: Annotated[int, Field(ge=1)] | None = None
    """Steps that a scheduler gives every trial; None: 1 for ``asha``, a tenth of ``max_step`` for
    ``median``."""
    eta: Annotated[float, Field(gt=1)] = 4.0
    """``asha`` lets one in so many trials go on at each of its rungs, which lie at
    ``grace_period`` times powers of it."""

    @model_validator(mode="after")
    def _grace_ends_in_time(self) -> CellSearch:
        if self.grace_period is not None and self.grace_period > self.max_step:
            raise Problem(
                f"must be at most max_step ({self.max_step})",
                at="grace_period", got=self.grace_period, fix="lower it or raise max_step",
            )  # fmt: skip
        return self

    @property
    def grace_steps(self) -> int:
        """``grace_period``, its default resolved."""
        if self.grace_period is not None:
            return self.grace_period
        return max(1, self.max_step // 10) if self.scheduler == "median" else 1


class CellStudy(StudyBase):
    """A study whose every grid point is one cell, or one search over cells."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the cell; usually an axis of the grid."""
    search_space: SearchSpace | None = None
    """Settings to search at every grid point."""
    search: CellSearch | None = None
    """How to search them."""

    @model_validator(mode="after")
    def _search_and_space_go_together(self) -> CellStudy:
        space = self.search_space.root if self.search_space is not None else {}
        if self.search is not None and "seed" in space and self.search.seeds != (0,):
            raise Problem("search_space has the seed", at="search.seeds", fix="leave it out")
        if (self.search is None) != (self.search_space is None):
            missing = "search" if self.search is None else "search_space"
            raise Problem("search and search_space go together", at=missing, fix=f"add {missing}:")
        if self.search is not None and self.search_space is not None:
            self.search.try_sampler(self.search_space)
        return self

    def cell_settings(self) -> dict[str, Any]:
        """Everything that the cell's result depends on, as plain data."""
        return self.model_dump(mode="json", exclude={*AROUND, "search", "search_space"})


def seed_list(seeds: int | tuple[int, ...]) -> tuple[int, ...]:
    """``4`` as ``(0, 1, 2, 3)``; a list as it is."""
    return tuple(range(seeds)) if isinstance(seeds, int) else seeds


class HasSeeds(Settings):
    """Mix-in of studies that repeat over seeds."""

    seeds: SeedSetting
    """Number of seeds (0 … n-1) or a list of them."""

    @model_validator(mode="after")
    def _distinct_seeds(self) -> HasSeeds:
        if len(set(self.seed_list)) < len(self.seed_list):
            raise Problem("seeds must be distinct", at="seeds", got=list(self.seed_list))
        return self

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return seed_list(self.seeds)
