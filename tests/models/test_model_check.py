"""A model that has passed its check once is not checked again, and needs no torch for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lrray.errors import LrrayError
from lrray.models.check import check_model
from lrray.models.config import ModelConfig

_CHECK = """
import sys
from lrray.models.check import check_model
from lrray.models.config import ModelConfig
check_model(ModelConfig(type="llama", hidden_size=int(sys.argv[1])), 8, 64)
print("torch" in sys.modules)
"""


def loads_torch(hidden_size: int) -> bool:
    code = [sys.executable, "-c", _CHECK, str(hidden_size)]
    return subprocess.check_output(code, text=True, env=os.environ).strip() == "True"


def test_what_has_passed_is_known_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check_model(ModelConfig(type="llama", hidden_size=32), 8, 64)
    assert not loads_torch(32)
    with pytest.raises(LrrayError):
        check_model(ModelConfig(type="llama", hidden_size=30), 8, 64)
    assert len(list(tmp_path.rglob("*"))) == 3  # lrray, models, and what passed
    with pytest.raises(LrrayError):
        check_model(ModelConfig(type="llama", hidden_size=30), 8, 64)


def test_a_home_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    check_model(ModelConfig(type="llama", hidden_size=32), 8, 64)
