"""Whatever crosses a border either comes out as it went in or is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lrray.cluster.file import read_cluster_file
from lrray.config import apply_overrides, dump_yaml, parse, parse_yaml
from lrray.errors import LrrayError
from lrray.kinds.function import Study
from lrray.results.curves import read_points
from lrray.results.folder import RunFolder
from lrray.results.plain import plain_point
from lrray.studies.cell import make_cell
from lrray.studies.grid import expand, grid_points
from lrray.studies.space import Range
from lrray.sweeps.convert import import_sweep

BASE = {
    "kind": "function", "question": "q", "hypothesis": "h",
    "function": "tests.studies.grid_cells:any_settings",
}  # fmt: skip

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=6)
SCALAR = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | TEXT
    | st.sampled_from(["no", "1e-3", "=", "[", "&a", "*a", "${x}", "..", "NaN", "\0", "-1"])
)  # fmt: skip
DATA = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAME = (
    st.sampled_from(
        [
            "seed",
            "settings.a",
            "settings.b.c",
            "a",
            "",
            ".",
            "settings.",
            "zip",
            "exclude",
            "kind.x",
        ]
    )
    | TEXT
)


def refused_or(attempt: Callable[[], Any]) -> Any:
    """What comes out, or None where it was refused in one line that says how to go on."""
    try:
        return attempt()
    except LrrayError as error:
        lines = str(error).splitlines()
        assert lines
        assert all(line.strip() and len(line) < 1000 for line in lines)
        return None


@given(NAME, DATA)
def test_an_override_sets_what_it_says(name: str, value: Any) -> None:
    word = f"{name}={dump_yaml(value)}"
    changed = refused_or(lambda: apply_overrides({}, [word]))
    if changed is not None and "=" not in name:
        for key in name.strip().split("."):
            changed = changed[key]
        assert repr(changed) == repr(parse_yaml(dump_yaml(value), "x"))


@given(st.text(max_size=30))
def test_any_word_is_an_override_or_refused(word: str) -> None:
    refused_or(lambda: apply_overrides({"settings": {"a": 1}}, [word]))


@given(st.dictionaries(NAME, DATA, max_size=3))
def test_axes_come_out_in_points_as_they_went_in(grid: dict[str, Any]) -> None:
    points = refused_or(lambda: list(grid_points(grid, "f.yaml: grid")))
    for point in points or ():
        for name, value in point.items():
            if isinstance(grid.get(name), list):
                assert any(repr(value) == repr(given) for given in grid[name])


@given(st.dictionaries(NAME, DATA, max_size=2), st.dictionaries(TEXT, DATA, max_size=2))
def test_settings_reach_the_cell_as_they_are(grid: dict[str, Any], given: dict[str, Any]) -> None:
    data = {**BASE, "settings": given, **({"grid": grid} if grid else {})}
    points = refused_or(lambda: expand(data, Study, "f.yaml"))
    for point in points or ():
        cell = refused_or(lambda point=point: make_cell(point.study, point.axes))
        if cell is not None and not grid:
            assert repr(cell.settings["settings"]) == repr(given)
            assert refused_or(lambda cell=cell: cell.id) is not None


RANGE = st.fixed_dictionaries(
    {},
    optional={
        "distribution": st.sampled_from(["uniform", "log_uniform", "int_uniform", "choice", "x"]),
        "low": SCALAR, "high": SCALAR, "values": DATA, "min": SCALAR, "max": SCALAR,
        "value": DATA, "parameters": DATA, "q": SCALAR, "mu": SCALAR,
    },
)  # fmt: skip


@given(RANGE)
def test_a_range_reads_back_equal(data: dict[str, Any]) -> None:
    range_ = refused_or(lambda: parse(Range, data, "range"))
    if range_ is not None:
        assert parse(Range, range_.model_dump(exclude_none=True), "range") == range_
        range_.to_optuna()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("borders")
    space = {"settings.a": {"distribution": "uniform", "low": 0.0, "high": 1.0}}
    search = {"metric": "loss", "num_trials": 3}
    (folder / "base.yaml").write_text(dump_yaml({**BASE, "search_space": space, "search": search}))
    return folder


@settings(max_examples=60)
@given(
    parameters=st.dictionaries(NAME, RANGE | DATA, max_size=3),
    method=st.sampled_from(["bayes", "grid", "random", None, 3]),
    more=st.dictionaries(
        st.sampled_from(["metric", "early_terminate", "run_cap", "description", "project"]),
        DATA, max_size=2,
    ),
)  # fmt: skip
def test_a_sweep_file_is_a_sound_study_or_refused(
    base: Path, parameters: dict[str, Any], method: Any, more: dict[str, Any]
) -> None:
    sweep = base / "sweep.yaml"
    sweep.write_text(yaml.safe_dump({"method": method, "parameters": parameters, **more}))
    study = refused_or(lambda: import_sweep(sweep, str(base / "base.yaml")))
    if study is not None:
        assert parse_yaml(dump_yaml(study.data), "x") is not None
        refused_or(lambda: expand(study.data, Study, "imported"))


PROVIDER = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["local", "aws", "gcp", "x"]) | SCALAR,
        "head_ip": SCALAR, "worker_ips": DATA, "region": SCALAR,
    },
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "cluster_name": TEXT | SCALAR, "provider": PROVIDER | DATA, "auth": DATA,
            "min_workers": SCALAR, "max_workers": SCALAR, "head_node": DATA, "docker": DATA,
            "file_mounts": DATA, "setup_commands": DATA, "available_node_types": DATA,
            "head_node_type": SCALAR,
        },
    )
)  # fmt: skip
def test_a_cluster_file_is_read_or_refused(base: Path, data: dict[str, Any]) -> None:
    path = base / "cluster.yaml"
    path.write_text(yaml.safe_dump(data))
    read = refused_or(lambda: read_cluster_file(path))
    assert read is None or repr(read) == repr(yaml.safe_load(path.read_text()))


NUMBER = st.integers() | st.floats() | st.booleans()


@given(st.dictionaries(TEXT | st.sampled_from(["step", "loss", "id", "$x$"]), NUMBER, max_size=4))
def test_a_curves_point_reads_back_as_it_was_or_is_refused(point: dict[str, Any]) -> None:
    try:
        plain = plain_point(point)
    except (ValueError, TypeError) as refused:
        line = str(refused)
        assert (len(line.splitlines()), len(line) <= 301) == (1, True)
        return
    assert repr(plain) == repr(point)
    with TemporaryDirectory() as path:
        RunFolder(Path(path)).append_metrics("0", plain)
        (read,) = read_points(Path(path) / "metrics" / "0.jsonl")
    assert repr(read) == repr(point)
