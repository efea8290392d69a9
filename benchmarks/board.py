"""What the board costs while a run grows and others look at it; `python -m benchmarks.board`.

Cells are added to a run of 5,000 while ten clients ask for its pages in turn. ``--seconds`` makes
it shorter than seven minutes. What a study loses by it is the time of a fixed piece of work with
the board beside it, over the time without.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.table import row, show
from lrray.config import dump_yaml
from lrray.results.folder import RunFolder
from lrray.results.record import DONE, CellRecord
from lrray.studies.cell import Cell

CELLS, CLIENTS, SECONDS = 5000, 10, 420.0
PAUSE_S = 1.0
"""Between two pages of one client, and between two new cells."""
WORK = "sum(i * i for i in range(3_000_000))"
_MAIN = "from lrray.cli.app import main; main()"


def measure(seconds: float = SECONDS) -> list[dict[str, Any]]:
    """CPU share, memory and time per page of the board, and what it costs a study beside it."""
    with tempfile.TemporaryDirectory() as place:
        folder = _run_of(Path(place) / "results")
        alone = statistics.median(_work_s() for _ in range(5))
        words = [sys.executable, "-c", _MAIN, "board", str(Path(place) / "results"), "--no-browser"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as board:
            assert board.stdout is not None
            url = board.stdout.readline().split()[-1]
            try:
                return _watched(board.pid, url, folder, seconds, alone)
            finally:
                board.send_signal(signal.SIGINT)
                board.wait(60)


def _watched(
    pid: int, url: str, folder: RunFolder, seconds: float, alone: float
) -> list[dict[str, Any]]:
    process, pages = psutil.Process(pid), _Pages(url, folder)
    pages.ask()  # the first reading of all cells is not what is measured
    memory, cpu, began = process.memory_info().rss, _cpu_s(process), time.perf_counter()
    end = began + seconds
    clients = [threading.Thread(target=pages.ask_until, args=(end,)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    beside = []
    number = CELLS
    while time.perf_counter() < end:
        _save(folder, number)
        number += 1
        beside.append(_work_s())
        time.sleep(PAUSE_S)
    for client in clients:
        client.join()
    took = time.perf_counter() - began
    times = sorted(pages.times)
    of = f"{CELLS:,} cells and {number - CELLS} new ones, {CLIENTS} clients, {took:.0f} s"
    used = 100 * (_cpu_s(process) - cpu) / took
    gained = (process.memory_info().rss - memory) / 1e6
    asked = f"{len(times)} pages"
    slower = 100 * (statistics.median(beside) / alone - 1)
    return [
        row("the board's CPU", used, "% of a core", "<= 10", of),
        row("memory that it gained", gained, "MB", "<= 10", of),
        row("a page, median", statistics.median(times), "s", "<= 0.16", asked),
        row("a page, 99th percentile", times[int(0.99 * len(times))], "s", "", asked),
        row("CPU time of work beside it, more", slower, "%", "<= 2", f"{len(beside)} times"),
    ]


class _Pages:
    """Asks for the board's pages, and how long each took."""

    def __init__(self, url: str, folder: RunFolder) -> None:
        self._urls = [url, f"{url}run?at={folder.name}"]
        self.times: list[float] = []

    def ask(self) -> None:
        for url in self._urls:
            began = time.perf_counter()
            with urllib.request.urlopen(url, timeout=120) as answer:
                answer.read()
            self.times.append(time.perf_counter() - began)

    def ask_until(self, end: float) -> None:
        while time.perf_counter() < end:
            self.ask()
            time.sleep(PAUSE_S)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _work_s() -> float:
    """CPU seconds of a fixed piece of work in a process of its own."""
    before = psutil.Process().cpu_times()
    subprocess.run([sys.executable, "-c", WORK], check=True)
    after = psutil.Process().cpu_times()
    return float(
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def _run_of(results: Path) -> RunFolder:
    folder = RunFolder.create(results, "large")
    study = {"kind": "function", "question": "q", "hypothesis": "h", "function": "mine:f"}
    folder.write_text("study.yaml", dump_yaml(study))
    (folder.path / "cells").mkdir(exist_ok=True)
    one = _record(0)
    for i in range(CELLS):
        own = replace(one, id=f"{i:016x}", axes={"seed": i}, result={"loss": 1.0 / (1 + i)})
        folder.cell_path(own.id).write_text(own.to_json())
    return folder


def _record(seed: int) -> CellRecord:
    cell = Cell("function", {"seed": seed}, {"seed": seed}, "code")
    return CellRecord.of(cell, DONE, 1.0, {"loss": 1.0})


def _save(folder: RunFolder, number: int) -> None:
    own = replace(_record(number), id=f"{number:016x}", axes={"seed": number})
    folder.write_text(f"cells/{own.id}.json", own.to_json())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    show(measure(parser.parse_args().seconds), "board")
