"""lrray: a Ray-distributed study platform for the science of latent reasoning."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lrray")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
