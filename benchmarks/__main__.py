"""Runs every benchmark of this package and writes ``docs/benchmarks.md``.

``python -m benchmarks [NAME …]`` runs the named ones only; tables of others are kept.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks.table import markdown, show
from lrray.gssm.checks import default_threads

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PACKAGES = ("numpy", "numba", "scipy", "torch", "ray", "optuna", "transformers")
HEAD = """# Benchmarks

Written by `make bench`. Ratios compare things that took turns in one run; other work on a machine
slows both. Each table names the machine and its load average before the run: goals are meant for an
idle one.
"""


def main(names: list[str]) -> None:
    """Measures and rewrites the page, a table per module."""
    available = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    if unknown := set(names) - set(available):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(available)}")
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    for name in names or available:
        if name.startswith("__"):
            continue
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "measure"):
            continue
        where = machine()
        rows = module.measure()
        show(rows, name)
        page = with_section(page, name, where, rows)
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, encoding="utf-8")
    print(f"written: {PAGE}")


def with_section(page: str, name: str, where: str, rows: list[dict[str, Any]]) -> str:
    """The page with the module's table between its markers, put in or replaced."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n## {name.capitalize()}\n\n{where}\n\n{markdown(rows)}{end}"
    if begin in page:
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        return re.sub(pattern, lambda _: section, page, flags=re.DOTALL)
    return f"{page.rstrip()}\n\n{section}\n"


def machine() -> str:
    """Processor, cores, how busy they are, and versions in one line."""
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"{processor()}, {default_threads()} cores, {platform.system()}, load average "
        f"{os.getloadavg()[0]:.1f}; {', '.join(versions)}."
    )


def processor() -> str:
    """Model name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        return found[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main(sys.argv[1:])
