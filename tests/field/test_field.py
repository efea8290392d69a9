"""Every trial of ``tests/field/*.yaml``: what somebody brings, and what comes of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.field.trials import Trial, bring, trials


def value_at(data: Any, path: str) -> Any:
    for key in path.split("/"):
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data


@pytest.mark.parametrize("trial", trials())
def test_what_people_bring(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, value in trial.env.items():
        monkeypatch.setenv(name, value.replace("{here}", str(tmp_path)))
    code, out, err = bring(trial, tmp_path)
    shown = " ".join(f"{out}\n{err}".split())
    assert code == trial.code, shown
    for text in trial.says:
        assert " ".join(text.split()) in shown
    assert "Traceback" not in shown
    lines = trial.lines or (1 if trial.code == 2 else None)
    assert lines is None or err.count("\n") == lines, err
    for name, held in trial.writes.items():
        written = yaml.safe_load((tmp_path / name).read_text())
        for path, value in held.items():
            assert value_at(written, path) == value
