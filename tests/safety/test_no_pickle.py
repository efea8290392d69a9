"""No pickle in a results folder is loaded: none planted there runs, no code could load one."""

from __future__ import annotations

import ast
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lrray
from lrray.errors import LrrayError
from lrray.gssm import GSSM
from lrray.search.journal import read_journal
from lrray.search.proposals import JOURNAL
from lrray.training.checkpoint import load_checkpoint
from lrray.training.heldout import make_heldout
from tests.reports.runs import cell_of, new_run

PACKAGE = Path(lrray.__file__).parent
GRAPH = {
    "nodes": [
        {"name": "Z1", "state_dim": 2, "alpha": 0.5},
        {"name": "X", "state_dim": 2, "alpha": 0.5, "parents": ["Z1"], "observed": True},
    ]
}


class Evil:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def planted(mark: Path, how: str, path: Path) -> None:
    """Writes a file that makes ``mark`` when it is unpickled."""
    if how == "torch":
        torch.save({"weight": Evil(mark)}, path)
    elif how == "numpy":
        with path.open("wb") as file:
            np.save(file, np.array([Evil(mark)], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Evil(mark)))


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_planted_as_a_checkpoint_does_not_run(tmp_path, how):
    mark, folder = tmp_path / "ran", tmp_path / "step_0000000001"
    folder.mkdir()
    digests = {}
    for name in ("model.safetensors", "optimizer.safetensors"):
        planted(mark, how, folder / name)
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "state.json").write_text(json.dumps({"step": 1, "sha256": digests}))
    with pytest.raises(LrrayError, match="damaged"):
        load_checkpoint(folder)
    assert not mark.exists()
    planted(mark, "pickle", folder / "state.json")
    with pytest.raises(LrrayError, match="damaged"):
        load_checkpoint(folder)
    assert not mark.exists()


@pytest.mark.parametrize("how", ["pickle", "torch", "numpy"])
def test_a_pickle_planted_as_a_cached_bound_is_computed_anew(tmp_path, how):
    gssm = GSSM.from_config(GRAPH, seed=1)
    honest = make_heldout(gssm, 4, 8, tmp_path).bound_nats
    [cached] = tmp_path.glob("bound_*.npy")
    planted(tmp_path / "ran", how, cached)
    again = make_heldout(gssm, 4, 8, tmp_path).bound_nats
    assert not (tmp_path / "ran").exists()
    assert np.array_equal(honest, again)


def test_pickles_planted_as_a_cell_or_a_journal_do_not_run(tmp_path):
    folder, mark = new_run(tmp_path / "results"), tmp_path / "ran"
    cell = cell_of("gru", 4, 0)
    planted(mark, "pickle", folder.cell_path(cell.id))
    assert folder.load_cell(cell.id) is None
    planted(mark, "pickle", folder.path / JOURNAL)
    assert read_journal(folder.path / JOURNAL) == {}
    assert not mark.exists()


def test_the_pickle_used_here_does_run_when_it_is_loaded(tmp_path):
    planted(tmp_path / "ran", "pickle", tmp_path / "file")
    pickle.loads((tmp_path / "file").read_bytes())
    assert (tmp_path / "ran").exists()


_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
_CALLS = {"eval", "exec", "unsafe_load", "full_load", "read_pickle"}
_MUST_SAY = {("torch", "load"): "weights_only", ("np", "load"): "allow_pickle"}


def unsafe(source: str) -> list[str]:
    """Calls and imports that could run what a file holds."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in _MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += _unsafe_call(node)
    return found


_LOADERS = ("_Loader", "_BoundedLoader")


def _unsafe_call(node: ast.Call) -> list[str]:
    words = {word.arg: ast.unparse(word.value) for word in node.keywords}
    never = {"shell", "trust_remote_code"} & words.keys()
    bad = [str(name) for name in never if words[name] != "False"]
    function = node.func
    if isinstance(function, ast.Name):
        return bad + [function.id] * (function.id in _CALLS)
    if isinstance(function, ast.Attribute):
        base, name = ast.unparse(function.value), function.attr
        must = _MUST_SAY.get((base, name))
        wanted = {"weights_only": "True", "allow_pickle": "False"}
        if must and words.get(must) != wanted[must]:
            bad.append(f"{base}.{name} without {must}")
        if base == "yaml" and name in ("load", "load_all") and words.get("Loader") not in _LOADERS:
            bad.append(f"yaml.{name}")
        bad += [name] * (name in _CALLS - {"eval", "exec"})
    return bad


def test_no_module_can_run_what_a_file_holds():
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 100
    assert {
        path.name: found for path in modules if (found := unsafe(path.read_text("utf-8")))
    } == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from joblib import load", "import dill.source", "eval('1')",
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)",
        "np.load(path, allow_pickle=True)", "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)", "pd.read_pickle(path)", "run(words, shell=True)",
        "Model.from_pretrained(name, trust_remote_code=True)",
    ],
)  # fmt: skip
def test_the_scan_sees_each_of_these(line):
    assert unsafe(line)


def test_the_loaders_of_yaml_are_safe_ones():
    import yaml

    import lrray.yaml_text

    for name in _LOADERS:
        loader = vars(lrray.yaml_text)[name]
        assert issubclass(loader, yaml.SafeLoader)
        assert not any("python/" in str(tag) for tag in loader.yaml_constructors)
