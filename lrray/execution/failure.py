"""What is kept of an error: recording one cannot fail, whatever the error does when it is asked."""

from __future__ import annotations

import traceback
from collections.abc import Callable

REASON_CHARS, TRACEBACK_CHARS = 500, 100_000
"""Most that is kept of an error's text and of its traceback."""


def reason(error: BaseException) -> str:
    """An error in one line."""
    text = _fit(lambda: str(error), REASON_CHARS)
    name = _fit(lambda: type(error).__name__, REASON_CHARS)
    return f"{name}: {text}".splitlines()[0].removesuffix(": ")


def trace(error: BaseException) -> str:
    """Where an error came from; of a very long text the beginning and the end."""
    return _fit(lambda: "".join(traceback.format_exception(error)), TRACEBACK_CHARS)


def _fit(ask: Callable[[], str], limit: int) -> str:
    """Text that any file takes."""
    try:
        text = ask()
        half = (limit - 40) // 2
        if len(text) > limit:
            left_out = f" … {len(text) - 2 * half} characters … "
            text = text[:half] + left_out + text[len(text) - half :]
        return text.encode(errors="backslashreplace").decode()
    except BaseException as second:  # an error's own code may raise anything
        return f"(its text cannot be had: {type(second).__name__})"
