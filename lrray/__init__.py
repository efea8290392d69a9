"""lrray: a Ray-distributed study platform for the science of latent reasoning.

::

    import lrray
    run = lrray.run("latents", ["scale=small"])
    run = lrray.load("results/latents")   # the newest run of a study, or a run's folder
    run.means("excess_bits", by=["pair"])

Importing it costs next to nothing: what is used is imported then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrray.api import Run, Study, compare, load, run
    from lrray.gssm import GSSM

__all__ = ["GSSM", "Run", "Study", "compare", "load", "run"]

_MODULES = {"GSSM": "lrray.gssm"} | dict.fromkeys(__all__[1:], "lrray.api")
"""Name -> the module that is imported when it is first used."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lrray")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0.0.0"
