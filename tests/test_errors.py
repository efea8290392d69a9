"""What a user reads when something is wrong."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from lrray.errors import (
    DiskFullError,
    LrrayError,
    ManyErrors,
    cannot_write,
    did_you_mean,
    is_full_disk,
    is_outage,
    shorten,
)


def test_an_error_says_where_rule_value_and_fix_on_one_line() -> None:
    error = LrrayError("study.yaml: seeds", "must be positive", got=-1, fix="write 24")
    assert str(error) == "study.yaml: seeds: must be positive, but got -1 (fix: write 24)"
    assert error.exit_code == 2


def test_parts_that_are_not_given_are_left_out() -> None:
    assert str(LrrayError("", "must hold")) == "must hold"
    assert str(LrrayError("here", "must hold")) == "here: must hold"
    assert str(LrrayError("here", "must hold", got=None)) == "here: must hold, but got None"


def test_line_breaks_are_folded_and_long_values_cut() -> None:
    error = LrrayError("here", "must\n  hold", got="x" * 500)
    assert "\n" not in str(error)
    assert str(error).startswith("here: must hold, but got 'xxx")
    assert str(error).endswith("…")
    assert len(shorten("x" * 500, limit=20)) == 20


def test_several_errors_take_a_line_each() -> None:
    several = ManyErrors([LrrayError("a", "must hold"), LrrayError("b", "must hold")])
    assert str(several) == several.line() == "a: must hold\nb: must hold"
    assert isinstance(several, LrrayError)
    assert several.exit_code == 2


@pytest.mark.parametrize(
    "error",
    [
        LrrayError("here", "must hold", got=[1], fix="mend it"),
        LrrayError("here", "must hold"),
        ManyErrors([LrrayError("a", "must hold"), LrrayError("b", "must hold", got=3)]),
    ],
)
def test_errors_cross_process_boundaries_unchanged(error: LrrayError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.line() == error.line()


def test_did_you_mean_names_the_closest_option_or_lists_all() -> None:
    assert did_you_mean("alhpa", ["alpha", "mode"]) == "did you mean 'alpha'?"
    assert did_you_mean("zzz", ["mode", "alpha"]) == "known: alpha, mode"
    assert did_you_mean("zzz", []) == "nothing is known here"


@pytest.mark.parametrize(
    ("number", "is_full"),
    [
        (errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EFBIG, True),
        (errno.EACCES, False), (errno.EROFS, False), (errno.EIO, False),
    ],
)  # fmt: skip
def test_all_who_ask_agree_on_what_a_full_disk_is(number: int, is_full: bool) -> None:
    error = OSError(number, "said the system")
    told = cannot_write(Path("here"), "a file", error)
    assert is_full_disk(error) == is_full_disk(told) == isinstance(told, DiskFullError) == is_full
    assert is_outage(error) == is_full
