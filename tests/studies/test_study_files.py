"""Study files: every shipped one loads, and whatever is written into one is read or refused."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrray.config import dump_yaml, load_yaml, parse
from lrray.errors import LrrayError
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.studies.grid import expand
from lrray.studies.load import list_studies, read_study, shipped_folder
from lrray.studies.space import SearchSpace
from tests.studies.small_study import STUDY

DIFFICULTY = [name for name in list_studies() if name.startswith("difficulty")]


def load(path: Path | str) -> DifficultyStudy:
    data, found = read_study(str(path))
    (point,) = expand(data, DifficultyStudy, str(found))
    return point.study


@pytest.mark.parametrize("name", DIFFICULTY)
def test_every_shipped_difficulty_study_loads_and_reads_back_equal(name: str, tmp_path) -> None:
    study = load(name)
    assert study.question.endswith("?")
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(dump_yaml(study.model_dump(mode="json", exclude_none=True)))
    assert load(resolved) == study


def test_the_shipped_studies_are_the_promised_ones() -> None:
    promised = {"", "_published", "_large", "_single", "_entropy"}
    assert {f"difficulty{suffix}" for suffix in promised} <= set(DIFFICULTY)
    published = load("difficulty_published")
    assert (published.match, published.seed_list) == ("per_seed", (42,))
    large = load("difficulty_large")
    assert (len(large.graph.latents), large.graph.observed.state_dim) == (8, 64)
    single = load("difficulty_single")
    assert [node.state_dim for node in single.graph.nodes] == [64, 32]
    assert load("difficulty_entropy").target.metric == "entropy_bits"


@pytest.mark.parametrize("path", sorted(shipped_folder("search_spaces").glob("alphas*.yaml")))
def test_every_shipped_search_space_of_alphas_loads(path: Path) -> None:
    parse(SearchSpace, load_yaml(path), str(path))


def test_numbers_without_a_dot_are_numbers(tmp_path) -> None:
    text = dump_yaml(STUDY).replace("low: 0.01", "low: 1e-2")
    (tmp_path / "study.yaml").write_text(text)
    assert load(tmp_path / "study.yaml").bounds.low == (0.01, 0.01)


def paths(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested data."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*at, key))


ODD = st.sampled_from([
    None, True, "", "X", "1e-3", "x" * 300, "zero\0byte", "\ud7ff…", 0, -1, 1, 2, 10**9, 10**30,
    0.0, -0.5, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"), [], [[]], {}, {"": None},
    ["X", "Z1"], [0, 0], {"low": 1, "high": 1}, "search_spaces/alphas.yaml", ".", "per_seed",
    "entropy_bits", "product", "slow", "context", "choice",
])  # fmt: skip
VALUE = ODD | st.integers() | st.floats() | st.text(max_size=8)


@st.composite
def mutated_studies(draw: st.DrawFn) -> Any:
    """The small study with a few places replaced, removed, renamed or doubled."""
    data = copy.deepcopy(STUDY)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(paths(data))))
        target = data
        for key in path[:-1]:
            target = target[key]
        how = draw(st.sampled_from(["replace", "replace", "remove", "rename", "double"]))
        if how == "replace":
            target[path[-1]] = copy.deepcopy(draw(VALUE))  # later mutations must not reach it
        elif how == "double" and isinstance(target, list):
            target.append(copy.deepcopy(target[path[-1]]))
        elif isinstance(target, list):
            del target[path[-1]]
        else:
            value = target.pop(path[-1])
            if how == "rename":
                target[draw(st.text(max_size=5) | st.sampled_from(list(STUDY)))] = value
        if not data:
            break
    return data


def is_read_or_refused(folder: Path, content: bytes) -> None:
    path = folder / "study.yaml"
    path.write_bytes(content)
    try:
        study = load(path)
    except LrrayError:
        return
    assert study.searches
    assert 0 < study.bounds.low[0] < study.bounds.high[0]


FUZZ = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@given(mutated_studies())
@settings(FUZZ, max_examples=150)
def test_a_mutated_study_is_read_or_refused(tmp_path, data: Any) -> None:
    is_read_or_refused(tmp_path, dump_yaml(data).encode(errors="surrogatepass"))


@pytest.mark.slow
@given(mutated_studies())
@settings(FUZZ, max_examples=1000)
def test_a_thousand_mutated_studies_are_read_or_refused(tmp_path, data: Any) -> None:
    is_read_or_refused(tmp_path, dump_yaml(data).encode(errors="surrogatepass"))


@given(st.data())
@settings(FUZZ, max_examples=150)
def test_a_study_file_with_damaged_text_is_read_or_refused(tmp_path, data) -> None:
    content = bytearray(dump_yaml(STUDY).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b"\n", b": ", b"&a ", b"*a "]))
        content[at : at + data.draw(st.integers(0, 3))] = piece
    is_read_or_refused(tmp_path, bytes(content))
