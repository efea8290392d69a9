"""Reading, overriding and checking settings: what is accepted, and what a user reads otherwise."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, StrictBool, model_validator

from lrray.config import Problem, Settings, apply_overrides, dump_yaml, load_yaml, parse, parse_yaml
from lrray.errors import LrrayError, ManyErrors


class Inner(Settings):
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    names: tuple[str, ...] = ()
    low: int = 0
    high: int = 9

    @model_validator(mode="after")
    def _check(self) -> Inner:
        if self.low > self.high:
            raise Problem("low <= high must hold", at="low", got=self.low, fix="lower it")
        return self


class Outer(Settings):
    count: Annotated[int, Field(ge=1, le=10)]
    mode: Literal["fast", "slow"] = "fast"
    flag: StrictBool = False
    label: Annotated[str, Field(min_length=1)] = "x"
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    both: tuple[float, float] = (0.0, 1.0)
    free: int | bool | None = None


def message(data: Any) -> str:
    with pytest.raises(LrrayError) as caught:
        parse(Outer, data, "s.yaml")
    return str(caught.value)


YAML_SCALARS = [
    ("1e-3", 1e-3), ("1E5", 1e5), ("+1.5e+2", 150.0), ("1.e-3", 1e-3), (".5", 0.5), ("1.", 1.0),
    ("-.inf", -math.inf), ("7", 7), ("-7", -7), ("010", 10), ("0o10", 8), ("0x1F", 31),
    ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
    ("on", "on"), ("no", "no"), ("1:30", "1:30"), ("1_000", "1_000"), ("2020-01-01", "2020-01-01"),
    ("e3", "e3"), ("1e", "1e"), ("'1e-3'", "1e-3"), ("1.2.3", "1.2.3"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), YAML_SCALARS)
def test_scalars_read_as_in_yaml_1_2(text: str, value: Any) -> None:
    read = parse_yaml(f"key: {text}", "s.yaml")["key"]
    assert read == value
    assert type(read) is type(value)


def test_anchors_and_merges_work() -> None:
    text = "base: &b {p: 1, q: 2}\nuse:\n  <<: *b\n  q: 3"
    assert parse_yaml(text, "s.yaml")["use"] == {"p": 1, "q": 3}


SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126))
    | st.sampled_from([text for text, _ in YAML_SCALARS] + ["0o7", "<<", "=", "yes"])
)
DATA = st.recursive(
    SCALAR, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab1e-.", max_size=4), inner)
)


@given(DATA)
def test_dumped_data_reads_back_equal(data: Any) -> None:
    assert parse_yaml(dump_yaml(data), "s.yaml") == data


BAD_YAML = [
    ("a: 1\na: 2", "s.yaml:2: not readable as YAML: key 'a' stands twice (fix: mend this line)"),
    (
        "a: [1\nb: 2",
        "s.yaml:2: not readable as YAML: expected ',' or ']', but got ':' (fix: mend this line)",
    ),
    ("? [1]\n: 2", "s.yaml:1: not readable as YAML: found unhashable key (fix: mend this line)"),
    (
        "a: !!python/name:os.system x",
        "s.yaml: not readable as YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/name:os.system' (fix: mend this line)",
    ),
    ("a: !!bool foo", "s.yaml: not readable as YAML: 'foo' is no bool (fix: mend this line)"),
    ("a: !!timestamp x", "s.yaml: not readable as YAML: 'x' is no timestamp (fix: mend this line)"),
    ("\na: !!float ''", "s.yaml:2: not readable as YAML: '' is no float (fix: mend this line)"),
    ("? !!float ''\n: 1", "s.yaml:1: not readable as YAML: '' is no float (fix: mend this line)"),
    ("a: !!int 0x", "s.yaml: not readable as YAML: '0x' is no int (fix: mend this line)"),
    (
        "a: \0",
        "s.yaml: not readable as YAML: unacceptable character #x0000: special characters are "
        "not allowed (fix: mend the file)",
    ),
]


@pytest.mark.parametrize(("text", "expected"), BAD_YAML)
def test_unreadable_yaml_is_told_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(LrrayError) as caught:
        parse_yaml(text, "s.yaml")
    assert str(caught.value) == expected


@given(st.text())
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    with contextlib.suppress(LrrayError):
        parse_yaml(text, "s.yaml")


def test_deeply_nested_yaml_is_refused_with_a_message() -> None:
    with pytest.raises(LrrayError, match=r"s\.yaml: not readable as YAML: maximum recursion depth"):
        parse_yaml("[" * 5000, "s.yaml")


BAD_FILES = [
    (b"", "the file is empty (fix: write a mapping of settings)"),
    (b"# only a comment\n", "the file is empty (fix: write a mapping of settings)"),
    (
        b"- 1\n",
        "must hold a mapping of settings, but got [1] (fix: write 'key: value' lines)",
    ),
    (b"\x80\xff\x00", "is not UTF-8 text (fix: give a YAML file)"),
]


@pytest.mark.parametrize(("content", "expected"), BAD_FILES)
def test_a_file_that_holds_no_settings_is_refused(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(LrrayError) as caught:
        load_yaml(path)
    assert str(caught.value) == f"{path}: {expected}"


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LrrayError) as caught:
        load_yaml(tmp_path / "no.yaml")
    assert str(caught.value) == f"{tmp_path}/no.yaml: no such file (fix: check the path)"
    with pytest.raises(LrrayError) as caught:
        load_yaml(tmp_path)
    expected = "cannot be read: Is a directory (fix: give a readable text file)"
    assert str(caught.value) == f"{tmp_path}: {expected}"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("count: 3\ninner: {alpha: 1e-3}\n")
    assert parse(Outer, load_yaml(path), str(path)).inner.alpha == 1e-3


MISTAKES: list[tuple[Any, str]] = [
    ({}, "s.yaml: count: this key is required (fix: add 'count: …')"),
    (None, "s.yaml: must be a mapping, but got None (fix: write 'key: value' lines)"),
    ({"cuont": 1}, "s.yaml: unknown key 'cuont' (fix: did you mean 'count'?)"),
    (
        {"count": 1, "inner": {"beta": 2}},
        "s.yaml: inner: unknown key 'beta' (fix: known: alpha, high, low, names)",
    ),
    (
        {"count": 0},
        "s.yaml: count: must be greater than or equal to 1, but got 0 "
        "(fix: give a value of at least 1)",
    ),
    (
        {"count": 11},
        "s.yaml: count: must be less than or equal to 10, but got 11 "
        "(fix: give a value of at most 10)",
    ),
    ({"count": True}, "s.yaml: count: must be a number, but got True (fix: write e.g. 4)"),
    (
        {"count": 1, "inner": {"alpha": False}},
        "s.yaml: inner.alpha: must be a number, but got False (fix: write e.g. 4)",
    ),
    (
        {"count": 1, "both": [0.5, True]},
        "s.yaml: both: must be a number, but got [0.5, True] (fix: write e.g. 4)",
    ),
    (
        {"count": 1, "both": [0.5]},
        "s.yaml: both: must hold at least 2 values, but got [0.5] (fix: write [a, b])",
    ),
    (
        {"count": 1, "both": [1, 2, 3]},
        "s.yaml: both: must hold at most 2 values, but got [1, 2, 3] (fix: write [a, b])",
    ),
    ({"count": "few"}, "s.yaml: count: must be a whole number, but got 'few' (fix: write e.g. 4)"),
    ({"count": 1.5}, "s.yaml: count: must be a whole number, but got 1.5 (fix: write e.g. 4)"),
    ({"count": [1]}, "s.yaml: count: must be a whole number, but got [1] (fix: write e.g. 4)"),
    (
        {"count": 1, "mode": "solw"},
        "s.yaml: mode: must be 'fast' or 'slow', but got 'solw' (fix: did you mean 'slow'?)",
    ),
    (
        {"count": 1, "flag": "yes"},
        "s.yaml: flag: must be true or false, but got 'yes' (fix: write true or false)",
    ),
    ({"count": 1, "label": 3}, "s.yaml: label: must be text, but got 3 (fix: put it in quotes)"),
    (
        {"count": 1, "label": ""},
        "s.yaml: label: must not be empty, but got '' (fix: give it a name)",
    ),
    (
        {"count": 1, "inner": 3},
        "s.yaml: inner: must be a mapping, but got 3 (fix: write 'key: value' lines)",
    ),
    (
        {"count": 1, "inner": {"names": "Z1"}},
        "s.yaml: inner.names: must be a list, but got 'Z1' (fix: write [a, b])",
    ),
    (
        {"count": 1, "inner": {"alpha": float("nan")}},
        "s.yaml: inner.alpha: must be a finite number, but got nan (fix: write e.g. 0.1)",
    ),
    (
        {"count": 1, "many": [{}, {"alpha": 0}]},
        "s.yaml: many[1].alpha: must be greater than 0, but got 0 "
        "(fix: give a value greater than 0.0)",
    ),
    (
        {"count": 1, "many": [{"low": 10}]},
        "s.yaml: many[0].low: low <= high must hold, but got 10 (fix: lower it)",
    ),
]


def test_a_boolean_is_taken_where_one_is_meant() -> None:
    settings = parse(Outer, {"count": 1, "flag": True, "free": True}, "s.yaml")
    assert (settings.flag, settings.free) == (True, True)


@pytest.mark.parametrize(("data", "expected"), MISTAKES)
def test_a_mistake_is_told_with_its_key_path(data: Any, expected: str) -> None:
    assert message(data) == expected


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(ManyErrors) as caught:
        parse(Outer, {"count": 0, "flag": 2}, "s.yaml")
    assert [str(error).split(",")[0] for error in caught.value.errors] == [
        "s.yaml: count: must be greater than or equal to 1",
        "s.yaml: flag: must be true or false",
    ]


def test_overrides_change_a_copy() -> None:
    data = {"target": {"value": 0.75}, "seeds": [1, 2]}
    changed = apply_overrides(
        data, ["target.value=1e-3", "search.num_trials=32", "seeds=[3]", "name=a=b", "empty="]
    )
    assert changed == {
        "target": {"value": 1e-3}, "seeds": [3], "search": {"num_trials": 32}, "name": "a=b",
        "empty": None,
    }  # fmt: skip
    assert data == {"target": {"value": 0.75}, "seeds": [1, 2]}


BAD_OVERRIDES = [
    ("target", "target: an override must be key=value (fix: e.g. target.value=0.8)"),
    ("=3", "=3: an override must be key=value (fix: e.g. target.value=0.8)"),
    ("a..b=3", "a..b=3: an override must be key=value (fix: e.g. target.value=0.8)"),
    ("a.=3", "a.=3: an override must be key=value (fix: e.g. target.value=0.8)"),
    ("a.b=3", "a.b=3: a must be a mapping, but got 1 (fix: override it whole)"),
    (
        "c=[1",
        "c=[1: not readable as YAML: expected ',' or ']', but got '<stream end>' "
        "(fix: mend this line)",
    ),
]


@pytest.mark.parametrize(("word", "expected"), BAD_OVERRIDES)
def test_a_word_that_is_no_override_is_refused(word: str, expected: str) -> None:
    with pytest.raises(LrrayError) as caught:
        apply_overrides({"a": 1}, [word])
    assert str(caught.value) == expected
