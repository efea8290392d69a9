"""How numbers are written: a mean to the decimals that its standard error supports."""

from __future__ import annotations

import math
from typing import Any

from lrray.statistics import Equivalence, Summary

_PLAIN_DIGITS = 5
"""Significant digits of a number that has no standard error."""

_ROUNDING = 1e-13
"""Errors of equal values, relative to these, come from adding them up in floating point."""


def plain(value: float) -> str:
    """A number alone."""
    return f"{value:.{_PLAIN_DIGITS}g}"


def short(value: object) -> str:
    """A setting or a number in few words: to four significant digits."""
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def compact(value: float) -> str:
    """A running cell's number: ``12,346``, ``0.357``."""
    whole = float(value).is_integer() or abs(value) >= 1000
    return f"{value:,.0f}" if whole else f"{value:.3g}"


def rounded(mean: float, error: float | None) -> tuple[str, str]:
    """Mean and standard error as text: two significant digits of the error, the mean to the same.

    The error is empty where there is none (NaN, a single value).
    """
    if error is None or not math.isfinite(error):
        return plain(mean), ""
    if error <= _ROUNDING * abs(mean):
        return plain(mean), "0"
    exponent = math.floor(math.log10(error))
    large = max(abs(mean), error)
    if large >= 1e6 or large < 1e-4:
        digits = max(1, math.floor(math.log10(large)) - exponent + 1)
        return f"{mean:.{digits}e}", f"{error:.1e}"
    decimals = max(0, 1 - exponent)
    return f"{mean:z.{decimals}f}", f"{error:.{decimals}f}"


def with_error(mean: float, error: float | None) -> str:
    """``0.7540 ± 0.0040``."""
    number, uncertainty = rounded(mean, error)
    return f"{number} ± {uncertainty}" if uncertainty else number


def difference_in_words(value: Summary, unit: str = "") -> str:
    """``-0.753 bits/token (95 % interval -1.191 to -0.314)``, to the digits of its error.

    Of a single value ``(one seed, no interval)``.
    """
    error, unit = value.standard_error, f" {unit}" if unit else ""
    if not math.isfinite(error) or error <= _ROUNDING * abs(value.mean):
        known = "no scatter" if error == 0 else "one seed, no interval"
        return f"{value.mean:+.3g}{unit} ({known})"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    mean, low, high = (f"{x:+z.{decimals}f}" for x in (value.mean, value.low, value.high))
    return f"{mean}{unit} (95 % interval {low} to {high})"


def equivalence_in_words(tested: Equivalence, unit: str = "") -> str:
    """``not shown to be within 0.07 bits/token, TOST p = 0.2``."""
    shown, unit = "shown" if tested.shown else "not shown", f" {unit}" if unit else ""
    return f"{shown} to be within {tested.margin:g}{unit}, TOST p = {tested.p_value:.2g}"


def in_words(value: Summary) -> str:
    """``0.7540 ± 0.0040 (n = 16)``."""
    return f"{with_error(value.mean, value.standard_error)} (n = {value.n})"


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet begins a formula with."""


def csv_value(value: Any) -> Any:
    """A value as it may stand in a CSV file: text that a spreadsheet would compute gets a quote.

    Numbers and intervals in words, and whatever is no text, stay as they are.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    parts = value.split(" to ")
    return value if len(parts) <= 2 and all(map(_is_number, parts)) else f"'{value}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
