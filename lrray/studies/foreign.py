"""Recognises the configurations of other tools, and names what does the same here.

Each is told by the keys that its tool requires. The answer is the study or command that does
the same here; ``docs/coming-from.md`` goes through the settings one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lrray.twohop.facts import shipped_datasets

PAGE = "docs/coming-from.md"
"""Where what each setting is called here is written down."""


@dataclass(frozen=True)
class Foreign:
    """A kind of file that is no study."""

    what: str
    """As in "is ...": the tool and what the file is there."""
    instead: str
    """A command that does the same here."""


def recognise(data: dict[str, Any]) -> Foreign | None:
    """What a file without a kind of study is; ``None`` where its keys are nobody's."""
    return next((found for look in _LOOKS if (found := look(data))), None)


def _two_hop(data: dict[str, Any]) -> Foreign | None:
    """``mbalesni/synthetic-two-hop``: data sets to train on and to evaluate."""
    if not {"train_datasets", "eval_datasets"} <= set(data):
        return None
    sets = data["train_datasets"]
    files = [item["dataset_file"] for item in _mappings(sets) if "dataset_file" in item]
    parts = [str(file).split("/") for file in files]
    if any("samedoc" in part for path in parts for part in path):
        study = "fully_synthetic_tiny task=same_document"
    elif any("spouses" in part for path in parts for part in path):
        study = "fully_synthetic_tiny"
    else:
        names = [path[-3] for path in parts if path[-2:] == ["train", "first_hop.jsonl"]]
        known = [name for name in names if name in shipped_datasets()]
        study = " ".join(["semi_synthetic", *(f"dataset={name}" for name in known[:1])])
    return Foreign("an experiment of synthetic-two-hop", f"lrray study {study}")


def _gssm(data: dict[str, Any]) -> Foreign | None:
    """``facebookresearch/composable-llm``: runs for its launcher, or named blocks of graphs."""
    what = "a configuration of composable-llm"
    run = data.get("run_config")
    if isinstance(run, dict):
        grid = _mapping(_mapping(data.get("launcher")).get("grid"))
        axes = {key for section in _mappings(list(grid.values())) for key in section}
        study = next((study for axis, study in _AXES.items() if axis in axes), "earlier_work")
        return Foreign(what, f"lrray study {study}")
    blocks = [block for block in _mappings(list(data.values())) if "gssm" in block]
    if not blocks:
        return None
    if any("sets" in block for block in blocks):
        return Foreign(what, "lrray data make finite_data")
    return Foreign(what, "lrray study difficulty graph=GRAPH.yaml")


_AXES = {"n_data": "finite_data", "emb_dim": "model_size"}
"""Axis of a grid there -> the study of the same question."""


def _sweep(data: dict[str, Any]) -> Foreign | None:
    if "parameters" in data and ("method" in data or "program" in data):
        return Foreign("a W&B sweep", "lrray sweep import FILE")
    return None


def _ray_cluster(data: dict[str, Any]) -> Foreign | None:
    if {"cluster_name", "provider"} <= set(data):
        return Foreign("a cluster file of Ray", "lrray submit STUDY --cluster FILE")
    return None


def _hydra(data: dict[str, Any]) -> Foreign | None:
    if "hydra" in data or isinstance(data.get("defaults"), list):
        return Foreign("a configuration of Hydra", "a study of kind function that calls your code")
    return None


def _accelerate(data: dict[str, Any]) -> Foreign | None:
    if "compute_environment" in data or "distributed_type" in data:
        return Foreign("a configuration of accelerate", "its keys under finetune: of a study")
    return None


def _graph(data: dict[str, Any]) -> Foreign | None:
    if isinstance(data.get("nodes"), list):
        return Foreign("a graph", "lrray study difficulty graph=FILE")
    return None


_LOOKS: tuple[Callable[[dict[str, Any]], Foreign | None], ...] = (
    _two_hop,
    _gssm,
    _sweep,
    _ray_cluster,
    _hydra,
    _accelerate,
    _graph,
)


def _mapping(value: Any) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def _mappings(values: Any) -> list[dict[str, Any]]:
    """Those of some values that are mappings."""
    if not isinstance(values, Iterable) or isinstance(values, str | dict):
        return []
    return [value for value in values if isinstance(value, dict)]
