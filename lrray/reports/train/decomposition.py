"""What of a difference in excess is n-gram learning, and what may be about latents.

Difference of excess between two ends = difference of n-gram deficits (the exact trigram table's
loss minus the bound, at each end) + difference of excess on the order-2 Markov surrogates + rest.
Surrogates have the same trigrams and no other latents, so only the rest can be about latents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrray.regression import smallest_effect
from lrray.reports.content import Row, Section, Table, axes_row
from lrray.reports.train.comparisons import (
    METRIC,
    OF_PAIR,
    PAIR,
    by_seed,
    pair_names,
    settings_with_pairs,
    spoken,
    without,
)
from lrray.results.groups import Group, label
from lrray.results.tables import SEED
from lrray.statistics import Summary, sign_flip_p_value, summarize
from lrray.studies.cell import digest
from lrray.text import difference_in_words

ORDER = 2
"""Of the surrogates: they have the trigrams of their graph."""

SURROGATE = "surrogate"

_PARTS = {
    "total": "difference of excess",
    "deficits": "n-gram deficits",
    "surrogates": "order-2 surrogates",
    "rest": "rest",
    "beyond": "share beyond the trigram",
}


@dataclass(frozen=True)
class Decomposition:
    """Two ends of one setting: ``first`` minus ``second``, seed by seed, ``[seeds]`` each."""

    axes: dict[str, Any]
    first: str
    second: str
    total: NDArray[np.float64]
    """Of the excess, in bits per token."""
    deficits: NDArray[np.float64]
    surrogates: NDArray[np.float64]
    beyond: NDArray[np.float64]
    """Of the share beyond the trigram."""

    @property
    def rest(self) -> NDArray[np.float64]:
        """What n-grams do not explain."""
        return self.total - self.deficits - self.surrogates

    def part(self, name: str) -> Summary:
        """A part's mean over seeds."""
        values: NDArray[np.float64] = getattr(self, name)
        return summarize(values)

    @property
    def preferred(self) -> str | None:
        """The pair whose latents are learnt better; None where that is not shown.

        Shown where share beyond the trigram and rest agree (a larger share, a smaller excess) and
        both 95 % intervals exclude 0.
        """
        rest, beyond = self.part("rest"), self.part("beyond")
        if rest.high < 0 and beyond.low > 0:
            return self.first
        if rest.low > 0 and beyond.high < 0:
            return self.second
        return None

    @property
    def in_words(self) -> str:
        """The sentence that the parts license."""
        where = f" ({label(self.axes)})" if self.axes else ""
        first, second = spoken(self.first), spoken(self.second)
        parts = ", ".join(
            f"{_PARTS[name]} {self.part(name).mean:+.3f}"
            for name in ("deficits", "surrogates", "rest")
        )
        head = (
            f"Of the difference {first} minus {second}{where}, {self.part('total').mean:+.3f} "
            f"bits/token over {len(self.total)} seeds, n-grams explain all but the rest: {parts}"
        )
        rest = difference_in_words(self.part("rest"), "bits/token")
        beyond = difference_in_words(self.part("beyond"))
        intervals = f"rest {rest}, share beyond the trigram {beyond}"
        if self.preferred is not None:
            return (
                f"{head}. Latents of the {spoken(self.preferred)} pair are learnt better: "
                f"{intervals}."
            )
        return (
            f"{head}. No preference for a kind of latent was found: {intervals}. With this scatter "
            f"and {len(self.total)} seeds the design would have seen, in four of five runs, a rest "
            f"of {_seen(self.rest)} bits/token and a difference of the share of "
            f"{_seen(self.beyond)}."
        )


def _seen(values: NDArray[np.float64]) -> str:
    """The smallest effect that a two-sided t test at 5 % finds with a power of 80 %."""
    if len(values) < 2:
        return "unknown size"
    return f"{smallest_effect(float(np.std(values, ddof=1)), len(values)):.2g}"


def decompositions(groups: list[Group], tuned: Collection[str] = ()) -> list[Decomposition]:
    """The decomposition of every setting whose two ends have cells on their surrogates as well."""
    names = pair_names(groups)
    settings = settings_with_pairs(groups, tuned)
    on_surrogates = {_around(own, tuned): own for _, own in settings if _order(own) == ORDER}
    found = []
    for axes, own in settings:
        surrogate = on_surrogates.get(_around(own, tuned))
        if _order(own) is not None or surrogate is None or len(names) < 2:
            continue
        first, second = names[0], names[-1]
        if {first, second} <= set(own) and {first, second} <= set(surrogate):
            both = [_numbers(own[name], surrogate[name]) for name in (first, second)]
            seeds = sorted(seed for seed in both[0] if seed in both[1])
            if seeds:
                a, b = (np.array([part[seed] for seed in seeds]) for part in both)
                axes = {name: value for name, value in axes.items() if name != SURROGATE}
                found.append(Decomposition(axes, first, second, *(a - b).T))
    return found


def _order(own: Mapping[str, Group]) -> int | None:
    """Order of the surrogates that a setting's cells trained on; None: on the graphs."""
    order = next(iter(own.values())).records[0].settings.get(SURROGATE)
    return None if order is None else int(order)


def _around(own: Mapping[str, Group], tuned: Collection[str]) -> str:
    """What a setting and the one on its surrogates have in common."""
    record = next(iter(own.values())).records[0]
    aside = {SURROGATE, *OF_PAIR}
    kept = {name: value for name, value in record.settings.items() if name not in aside}
    for path in tuned:
        kept = without(kept, path)
    axes = {k: v for k, v in record.axes.items() if k not in (SURROGATE, SEED, PAIR)}
    return digest([kept, axes])


def _numbers(group: Group, surrogate: Group) -> dict[Any, list[float]]:
    """Seed -> excess, n-gram deficit, excess on the surrogate, share beyond the trigram."""
    columns = [
        by_seed(group, METRIC), by_seed(group, "trigram_bits"), by_seed(group, "bound_bits"),
        by_seed(surrogate, METRIC), by_seed(group, "share_beyond_trigram"),
    ]  # fmt: skip
    found = {}
    for seed in columns[0]:
        if all(seed in column for column in columns):
            excess, trigram, bound, on_surrogate, share = (column[seed] for column in columns)
            found[seed] = [excess, trigram - bound, on_surrogate, share]
    return found


def decomposition_answer(groups: list[Group], tuned: Collection[str] = ()) -> list[str]:
    """A sentence for every decomposition; none for a run without surrogates."""
    return [one.in_words for one in decompositions(groups, tuned)]


def decomposition_section(groups: list[Group], tuned: Collection[str] = ()) -> list[Section]:
    """The parts with their intervals; nothing for a run without surrogates."""
    found = decompositions(groups, tuned)
    if not found:
        return []
    caption = (
        "Difference of excess between the ends (bits/token), what of it are n-gram deficits and "
        "excess on order-2 surrogates, and the rest; means over seeds with 95 % t intervals, p by "
        "sign flips"
    )
    rows = [_row(one, name) for one in found for name in _PARTS]
    return [Section("Latents or n-grams", _RULE, (Table("decomposition", caption, rows),))]


_RULE = (
    "Order-2 surrogates have the trigrams of their graph and no other latents: what a model's "
    "excess differs by on them, and what trigrams leave, says nothing of latents. A preference for "
    "a kind of latent is claimed only where rest and share beyond the trigram agree in sign and "
    "both intervals exclude 0."
)


def _row(one: Decomposition, name: str) -> Row:
    values: Sequence[float] = getattr(one, name)
    summary = summarize(values)
    many = summary.n > 1
    return {
        **axes_row(one.axes),
        "part": _PARTS[name], f"{spoken(one.first)} minus {spoken(one.second)}": summary,
        "95 % from": summary.low if many else None, "to": summary.high if many else None,
        "p": sign_flip_p_value(values) if many else None,
        "seen with 80 %": smallest_effect(float(np.std(values, ddof=1)), summary.n)
        if many else None,
    }  # fmt: skip
