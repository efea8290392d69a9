"""Tables as CSV, LaTeX and the cells of an HTML table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lrray.reports.content import Row, Table
from lrray.statistics import Summary
from lrray.text import csv_value, plain, rounded

if TYPE_CHECKING:  # takes longer to load than a report of tables to write
    import pandas as pd

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "–": "--",
    }
)  # fmt: skip


def to_csv(table: Table) -> str:
    """CSV in full precision; a measured column brings ``_se``, ``_n`` and its 95 % interval."""
    rows = [_spread(row) for row in table.rows]
    columns: list[str] = []
    for name in table.columns:
        parts = [name, *(f"{name}{part}" for part in ("_se", "_n", "_low", "_high"))]
        columns += [part for part in parts if any(part in row for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(columns)), lineterminator="\n")
    names = list(dict.fromkeys(columns))
    writer.writerow({name: csv_value(name) for name in names})
    writer.writerows({name: csv_value(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def frame_to_csv(frame: pd.DataFrame) -> str:
    """A data frame as CSV, without its index; see :func:`lrray.text.csv_value`."""
    import pandas as pd

    safe = frame.apply(lambda c: c if pd.api.types.is_numeric_dtype(c) else c.map(csv_value))
    return str(safe.rename(columns=csv_value).to_csv(index=False))


def _spread(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Summary):
            flat |= {name: value.mean, f"{name}_n": value.n}
            if not math.isnan(value.standard_error):
                flat |= {f"{name}_se": value.standard_error}
                flat |= {f"{name}_low": value.low, f"{name}_high": value.high}
        else:
            flat[name] = value
    return flat


def to_latex(table: Table) -> str:
    r"""A ``booktabs`` table with numbers by ``siunitx``; n stands once where it is the same.

    It is in the caption where all measured numbers have one n, in a column of its own where those
    of each row do, else beside each number.
    """
    numbers = [_measured(row) for row in table.rows]
    every = {value.n for row in numbers for value in row}
    by_row = all(len({value.n for value in row}) <= 1 for row in numbers)
    caption = latex_text(table.caption)
    columns = list(table.columns)
    rows = [[_latex(row.get(name), own_n=not by_row) for name in columns] for row in table.rows]
    headings = [_symbols(latex_text(name)) for name in columns]
    numeric = [name in table.numeric for name in columns]
    if len(every) == 1:
        caption += f" Mean $\\pm$ standard error, $n = {every.pop()}$." if every != {1} else ""
    elif by_row and every:
        headings, numeric = [*headings, "$n$"], [*numeric, True]
        for row, own in zip(rows, numbers, strict=True):
            row.append(str(own[0].n) if own else "--")
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage{siunitx}",
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{_symbols(caption)}}}",
        f"\\label{{tab:{table.name}}}",
        f"\\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
        r"\toprule",
        _latex_row(headings),
        r"\midrule",
        *map(_latex_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _measured(row: Row) -> list[Summary]:
    return [value for value in row.values() if isinstance(value, Summary)]


def _symbols(text: str) -> str:
    """Escaped text with the two alphas as they are written by hand."""
    for name in "XZ":
        text = text.replace(rf"alpha\_{name}", rf"$\alpha_{name}$")
    return text


def _latex_row(texts: Iterable[str]) -> str:
    return " & ".join(texts) + r" \\"


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return text.translate(_LATEX)


def _latex(value: Any, own_n: bool) -> str:
    if not isinstance(value, Summary):
        return _symbols(latex_text(cell_text(value)))
    text = _number(value)
    return f"{text} ($n = {value.n}$)" if own_n else text


def _number(value: Summary) -> str:
    r"""``\num{0.754 \pm 0.004}``; an exponent stands once, after both."""
    if not math.isfinite(value.mean):
        return latex_text(cell_text(value))
    if value.n < 2:
        return f"\\num{{{cell_text(value)}}}"
    mean, error = rounded(value.mean, value.standard_error)
    digits, e, exponent = mean.partition("e")
    if e and error:
        decimals = len(digits.partition(".")[2])
        error = f"{float(error) / 10 ** int(exponent):.{decimals}f}"
    power = f"e{int(exponent)}" if e else ""
    return "\\num{" + digits + (f" \\pm {error}" if error else "") + power + "}"


def cell_text(value: Any) -> str:
    """A value as a reader sees it, without n."""
    if value is None:
        return "–"
    if isinstance(value, Summary):
        if value.n < 2:  # nothing says how many digits are worth showing
            return f"{value.mean:.3g}"
        mean, error = rounded(value.mean, value.standard_error)
        return f"{mean} ± {error}" if error else mean
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value) if isinstance(value, float) else str(value)
