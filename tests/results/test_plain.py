"""What users' functions return, at the border of files."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrray.results.plain import plain_result


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (1, 1), (True, True), (None, None), (0.5, 0.5), ("text", "text"), (10**300, 10**300),
        (np.float32(0.5), 0.5), (np.float64(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True),
        (np.array(0.5), 0.5), (np.array([0.5]), 0.5), (np.str_("text"), "text"),
        (torch.tensor(0.5), 0.5), (torch.tensor([2]), 2), (torch.tensor(True), True),
        (torch.tensor(0.5, requires_grad=True), 0.5), (torch.tensor(0.5).bfloat16(), 0.5),
        (Decimal("0.5"), 0.5), (Fraction(1, 2), 0.5),
        ([np.float32(1), 2], [1.0, 2]), ((1, 2), [1, 2]),
        ({"a": {"b": np.int32(1)}}, {"a": {"b": 1}}), ({1: 2}, {"1": 2}),
    ],
)  # fmt: skip
def test_numbers_of_any_library_become_pythons(value: Any, plain: Any) -> None:
    result = plain_result({"x": value})
    assert result == {"x": plain}
    assert type(result["x"]) is type(plain)


@pytest.mark.parametrize(
    "value",
    [float("nan"), np.float32("nan"), np.float64("inf"), torch.tensor(float("nan")),
     Decimal("NaN"), Decimal("Infinity"), np.array(-np.inf), torch.tensor([float("inf")])],
)  # fmt: skip
def test_a_number_that_is_not_finite_fails_with_its_name(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^the result's a\.loss is (nan|-?inf): the computation"):
        plain_result({"a": {"loss": value}})
    assert plain_result({"loss_se": value}) == {"loss_se": None}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (np.zeros(3), "the result's x holds no value or several; it must be one number"),
        (torch.zeros(2, 2), "the result's x holds no value or several; it must be one number"),
        (b"bytes", "the result's x is of type bytes; it must be"),
        (1j, "the result's x is of type complex; it must be"),
        (np.complex64(1j), "the result's x is of type complex; it must be"),
        ({1, 2}, "the result's x is of type set; it must be"),
        (object(), "the result's x is of type object; it must be"),
        ("\udc80", "the result's x is text that cannot be written as UTF-8: '\\udc80'"),
        ({"\ud800": 1}, "the result's x has a key that is text that cannot be written as UTF-8"),
        ({1: 2, "1": 3}, "the result has two values under x.1"),
        (10**400, "the result's x is beyond what a float can hold"),
        (Decimal("1e999"), "the result's x is inf: the computation diverged"),
        ([[np.zeros(2)]], "the result's x[0][0] holds no value or several"),
    ],
)
def test_what_is_no_result_is_one_line_that_names_the_key(value: Any, line: str) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        plain_result({"x": value})
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_a_result_that_holds_itself_is_refused() -> None:
    result: dict[str, Any] = {}
    result["x"] = result
    with pytest.raises(ValueError, match="nested more than 20 levels deep"):
        plain_result(result)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
results = st.dictionaries(
    st.text() | st.integers(),
    st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
)


@given(results)
def test_any_result_survives_a_file_unchanged_or_is_refused_in_one_line(result: dict) -> None:
    try:
        plain = plain_result(result)
    except (ValueError, TypeError) as refused:
        line = str(refused)
        line.encode()
        assert (len(line.splitlines()), len(line) <= 301) == (1, True)
        return
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain_result(plain) == plain
