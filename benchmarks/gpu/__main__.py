"""Runs the steps one after the other, each a process with a time limit, and writes one page.

``python -m benchmarks.gpu --out DIR --limit 480``. A step that fails or is too slow costs its own
answer alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.gpu.sizes import SIZES
from benchmarks.gpu.steps import steps
from benchmarks.table import markdown, show

PACKAGES = ("torch", "transformers", "numpy", "numba", "peft")
TAIL = 2000
"""Characters that are kept of what a failing step said."""


def main() -> int:
    """Writes ``gpu.json`` and ``gpu.md``; 1 where a step has no answer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu.json and gpu.md")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds of all steps together")
    parser.add_argument("--size", choices=SIZES, default="full", help="toy: a rehearsal on a CPU")
    parser.add_argument("--step", action="append", help="one of the steps alone; may be repeated")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + given.limit
    page: dict[str, Any] = {"machine": machine(), "size": given.size, "steps": {}}
    for name, step in steps(SIZES[given.size]).items():
        if given.step and name not in given.step:
            continue
        left = end - time.monotonic()
        page["steps"][name] = run_step(name, given.size, min(left, step.share * given.limit))
        show(page["steps"][name]["rows"], name)
        write(page, given.out)  # what is known so far, should the machine be taken away
    return int(any(step["trouble"] for step in page["steps"].values()))


def run_step(name: str, size: str, limit_s: float) -> dict[str, Any]:
    """Its rows, its seconds, and what went wrong; empty where nothing did."""
    if limit_s <= 0:
        return {"rows": [], "seconds": 0.0, "trouble": "no time was left"}
    with tempfile.TemporaryDirectory() as scratch:
        out, log = Path(scratch) / "rows.json", Path(scratch) / "log"
        command = [sys.executable, "-m", "benchmarks.gpu.steps", name, size, str(out)]
        began = time.monotonic()
        with log.open("w") as file:
            # Its children go with it: they hold the device's memory.
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                process.wait(limit_s)
                trouble = "" if process.returncode == 0 else f"exit code {process.returncode}"
            except subprocess.TimeoutExpired:
                trouble = f"not done within {limit_s:.0f} s"
            finally:
                _end(process)
        rows = json.loads(out.read_text()) if out.exists() else []
        if trouble:
            trouble += "\n" + log.read_text(errors="replace")[-TAIL:]
        return {"rows": rows, "seconds": time.monotonic() - began, "trouble": trouble}


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def machine() -> dict[str, str]:
    """The device and the versions; torch is asked in a process of its own, which frees it again."""
    ask = "from benchmarks.gpu.device import name; print(name())"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=120)
    found = {"device": told.stdout.strip() or "unknown", "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def write(page: dict[str, Any], folder: Path) -> None:
    """Both pages, as far as they are known."""
    (folder / "gpu.json").write_text(json.dumps(page, indent=1))
    versions = ", ".join(f"{key} {value}" for key, value in page["machine"].items())
    lines = ["# GPU", "", f"{versions}; size {page['size']}.", ""]
    for name, step in page["steps"].items():
        lines += [f"## {name}", "", f"{step['seconds']:.0f} s.", "", markdown(step["rows"])]
        if step["trouble"]:
            lines += ["```text", step["trouble"], "```", ""]
    (folder / "gpu.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
