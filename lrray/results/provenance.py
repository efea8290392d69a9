"""Where a run comes from: code, versions, machine and command, without any secret."""

from __future__ import annotations

import os
import platform
import subprocess
import time
import zlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "lrray", "ray", "optuna", "torch", "transformers", "numpy", "numba", "scipy",
    "pandas", "pydantic", "wandb",
)  # fmt: skip


def provenance(command: Sequence[str]) -> dict[str, Any]:
    """Plain data for ``provenance.json``.

    Args:
        command: what runs the study again, word by word; whatever program this is.
    """
    return {
        "command": list(command),
        "job": job(),
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git": _git(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "zlib_runtime": zlib.ZLIB_RUNTIME_VERSION,
        "machine": {
            "host": os.uname().nodename,
            "system": platform.platform(),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
        },
    }


def job() -> str | None:
    """The job that this program is, where it was submitted to a cluster."""
    return os.environ.get("LRRAY_JOB")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git() -> dict[str, Any] | None:
    """Revision of the source tree lrray runs from, or None outside of one."""
    folder = Path(__file__).resolve().parent

    def ask(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"revision": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
