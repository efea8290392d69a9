"""Settings of a difficulty study."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from lrray.config import Problem, Settings
from lrray.difficulty.bounds import Bounds
from lrray.difficulty.compressors import (
    COMPRESSORS,
    PRIMER_TOKENS,
    check_compressors,
    gzip_difficulty,
)
from lrray.difficulty.estimate import SampleSize, noise_ceiling
from lrray.gssm import GraphConfig
from lrray.references import user_modules
from lrray.studies.schema import MANY, HasSeeds, Search, StudyBase
from lrray.studies.space import SearchSpace

ALPHAS = ("alpha_X", "alpha_Z")

Purpose = Literal["trial", "correction", "pair"]
"""What a measurement is for: the search, a pair's place, or what is reported of a pair."""

MAX_ALPHA = 1e6
"""Largest alpha that a graph takes; from about 100 on kernel rows are uniform."""

MAX_TOKENS = 100_000_000
"""Most tokens of one kernel draw: they are compressed in memory."""

_SILENCE = gzip_difficulty(np.zeros(8 * PRIMER_TOKENS, np.int64), np.zeros(PRIMER_TOKENS, np.int64))
"""What zlib makes of tokens that never change."""


class Target(Settings):
    """The difficulty that pairs must have."""

    metric: Literal["gzip", "entropy_bits"] = "gzip"
    """``gzip``: compressed bytes per token; ``entropy_bits``: exact bits per token."""
    value: Annotated[float, Field(gt=0)] = 0.75
    """The level."""
    tolerance: Annotated[float, Field(gt=0)] = 0.01
    """How far a pair's re-measured difficulty may lie from the level."""
    information_bits: Annotated[float, Field(gt=0)] | None = None
    """With ``match: per_draw``, what there is to learn beyond token frequencies (bits per token);
    default: the mean over all pairs' first draws."""


class PairSettings(Settings):
    """How matched pairs are chosen and checked."""

    along: Annotated[int, Field(ge=0, le=50)] = 0
    """Further pairs, spread along the contour between its two ends."""
    num_seeds: Annotated[int, Field(ge=4, le=MANY)] = 256
    """Fresh seeds on which each pair is measured again (``match: mean``); half as many correct its
    place first."""
    num_draws: Annotated[int, Field(ge=1, le=10_000)] = 12
    """Kernel draws to accept for each pair (``match: per_draw``)."""
    window_bits: Annotated[float, Field(gt=0)] = 0.07
    """How far an accepted draw's exact bound and information may lie from the target."""
    max_draws: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """Kernel draws that are tried for each pair at most."""
    max_rounds: Annotated[int, Field(ge=1, le=10)] = 3
    """Times a pair may be moved and measured again until it lies within the tolerance."""
    entropy_sequences: Annotated[int, Field(ge=0)] | None = None
    """The most sequences per seed that are scored exactly; default: as in the trials."""


class DifficultyStudy(StudyBase, HasSeeds):
    """A search for the (alpha_X, alpha_Z) at which sequences are equally hard."""

    kind: Literal["difficulty"]
    graph: GraphConfig
    """The graph; the search sets every alpha."""
    search_space: SearchSpace
    """A file such as ``search_spaces/alphas.yaml``, or the ranges themselves."""
    target: Target = Target()
    match: Literal["mean", "per_seed", "per_draw"] = "mean"
    """Match the mean over kernel draws; each seed's own graph, by its alphas; or accept those draws
    alone, at one pair of alphas, that match by themselves."""
    sequences_per_seed: Annotated[int, Field(ge=1)] = 16
    """Sequences compressed per kernel draw, beside those that prime zlib."""
    seq_len: Annotated[int, Field(ge=2)] = 2048
    """Tokens per sequence."""
    entropy_sequences: Annotated[int, Field(ge=0)] = 16
    """The most sequences per kernel draw that are scored exactly, as far as they tell more than
    further draws would; 0 leaves the entropy out."""
    compressors: tuple[str, ...] = ()
    """Further compressors to measure, in bits per token; ``module:function`` for one's own."""
    search: Search = Search()
    pairs: PairSettings = PairSettings()

    @model_validator(mode="after")
    def _check(self) -> DifficultyStudy:
        check_compressors(self.compressors, list(COMPRESSORS))
        if set(self.search_space.root) != set(ALPHAS):
            got = sorted(self.search_space.root)
            raise Problem("must hold alpha_X and alpha_Z", at="search_space", got=got)
        for name in ALPHAS:
            if self.search_space[name].distribution != "log_uniform":
                raise Problem(
                    "alphas must be log_uniform", at=f"search_space.{name}.distribution",
                    got=self.search_space[name].distribution, fix="distribution: log_uniform",
                )  # fmt: skip
            if (self.search_space[name].high or 0) > MAX_ALPHA:
                raise Problem(
                    f"alphas must be at most {MAX_ALPHA:g}", at=f"search_space.{name}.high",
                    got=self.search_space[name].high, fix="high: 1.0",
                )  # fmt: skip
        self._check_alphas()
        self._check_entropy()
        self._check_draws()
        self._check_target()
        self._check_size()
        self.search.try_sampler(self.search_space)
        return self

    def _check_alphas(self) -> None:
        for name, nodes in (("alpha_X", (self.graph.observed,)), ("alpha_Z", self.graph.latents)):
            if all(node.alpha is not None for node in nodes):
                raise Problem(
                    f"must leave alpha out of a node that {name} can set: what it gives is kept",
                    at="graph.nodes", got={node.name: node.alpha for node in nodes},
                    fix="leave alpha out of the nodes that the search is for",
                )  # fmt: skip

    def _check_draws(self) -> None:
        if self.match == "per_draw" and self.target.metric != "entropy_bits":
            raise Problem(
                "must be entropy_bits with match: per_draw, which needs exact bounds",
                at="target.metric", got=self.target.metric, fix="metric: entropy_bits",
            )  # fmt: skip
        if self.match != "per_draw" and self.target.information_bits is not None:
            raise Problem(
                "is matched with match: per_draw alone", at="target.information_bits",
                got=self.target.information_bits, fix="match: per_draw, or leave it out",
            )  # fmt: skip

    def _check_target(self) -> None:
        metric, value = self.target.metric, self.target.value
        ceiling = noise_ceiling(metric, self.graph.observed.state_dim)
        floor = _SILENCE if metric == "gzip" else 0.0
        if value >= ceiling:
            raise Problem(
                f"must lie below {ceiling:.3f}, the {metric} of pure noise",
                at="target.value", got=value, fix="lower the target",
            )  # fmt: skip
        if value <= floor:
            raise Problem(
                f"must lie above {floor:.3f}, the {metric} of a token that never changes",
                at="target.value", got=value, fix="raise the target",
            )  # fmt: skip

    def _check_size(self) -> None:
        tokens = self.sequences_per_seed * self.seq_len
        if tokens > MAX_TOKENS:
            raise Problem(
                f"sequences_per_seed x seq_len must be at most {MAX_TOKENS}",
                at="sequences_per_seed", got=tokens, fix="use more seeds with fewer sequences",
            )  # fmt: skip

    def _check_entropy(self) -> None:
        context = [node.name for node in self.graph.nodes if node.mode == "context"]
        if context and self.entropy_sequences:
            raise Problem(
                f"must be 0: node {context[0]} has mode context, whose entropy has no closed form",
                at="entropy_sequences", got=self.entropy_sequences, fix="entropy_sequences: 0",
            )  # fmt: skip
        if self.target.metric == "entropy_bits" and not self.entropy_sequences:
            raise Problem(
                "must be above 0 where the target is the entropy",
                at="entropy_sequences", got=0, fix="entropy_sequences: 16, or target.metric: gzip",
            )  # fmt: skip

        for at, number in (
            ("entropy_sequences", self.entropy_sequences),
            ("pairs.entropy_sequences", self.pairs.entropy_sequences or 0),
        ):
            if number > self.sequences_per_seed:
                raise Problem(
                    f"must be at most sequences_per_seed, {self.sequences_per_seed}",
                    at=at, got=number, fix="lower it, or raise sequences_per_seed",
                )  # fmt: skip

    def user_modules(self) -> tuple[str, ...]:
        """Those of compressors."""
        return user_modules(self.compressors)

    @property
    def bounds(self) -> Bounds:
        """The searched rectangle, in the order (alpha_X, alpha_Z)."""
        ranges = [self.search_space[name] for name in ALPHAS]
        low = [range_.low or 0.0 for range_ in ranges]
        high = [range_.high or 0.0 for range_ in ranges]
        return Bounds((low[0], low[1]), (high[0], high[1]))

    def size(self, start: int = 0, purpose: Purpose = "trial") -> SampleSize:
        """How much of each draw is measured, and for what.

        What only corrects a pair's place needs no more than the target's own measure.
        """
        entropy = self.pairs.entropy_sequences if purpose != "trial" else None
        entropy = self.entropy_sequences if entropy is None else entropy
        if purpose == "correction" and self.target.metric != "entropy_bits":
            entropy = 0
        return SampleSize(
            sequences=self.sequences_per_seed,
            seq_len=self.seq_len,
            entropy_sequences=entropy,
            compressors=self.compressors,
            start=start,
            information=purpose == "pair" and self.match == "per_draw",
        )

    @property
    def searches(self) -> dict[str, tuple[int, ...]]:
        """Search name -> seeds measured in each of its trials."""
        if self.match == "per_seed":
            return {f"seed-{seed}": (seed,) for seed in self.seed_list}
        return {"mean": self.seed_list}
