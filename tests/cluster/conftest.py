"""What the tests on hosts of their own did, step by step, is shown whether they pass or not."""

import time
from pathlib import Path

import pytest

LOG = Path(__file__).resolve().parents[2] / "build" / "cluster.log"
"""Everything that the commands on the hosts said."""

_steps = []


class Diary:
    """Notes steps for the terminal, and what commands said for the log."""

    def __init__(self):
        self._began = time.monotonic()
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text("")

    def step(self, text):
        line = f"{time.monotonic() - self._began:5.0f} s  {text}"
        _steps.append(line)
        self.said(line)

    def said(self, text):
        with LOG.open("a") as file:
            file.write(text.rstrip() + "\n")


@pytest.fixture(scope="session")
def diary():
    return Diary()


def pytest_terminal_summary(terminalreporter):
    if _steps:
        terminalreporter.section(f"hosts in namespaces; in full: {LOG}")
        for line in _steps:
            terminalreporter.line(line)
