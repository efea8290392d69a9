"""Real facts, by kind of entity: tables in YAML, their schema and their rules."""

from lrray.twohop.facts.loading import (
    EXTRA_DATASETS,
    choose_facts,
    fingerprint,
    load_facts,
    shipped_datasets,
    shipped_facts,
)
from lrray.twohop.facts.schema import Attribute, Entity, Fact, Facts

__all__ = [
    "EXTRA_DATASETS",
    "Attribute",
    "Entity",
    "Fact",
    "Facts",
    "choose_facts",
    "fingerprint",
    "load_facts",
    "shipped_datasets",
    "shipped_facts",
]
