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
    r"""A ``booktabs`` table; standard errors and n beside every measured number."""
    columns = table.columns
    rows = [[_latex(row.get(name)) for name in columns] for row in table.rows]
    alignment = "".join("r" if name in table.numeric else "l" for name in columns)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{latex_text(table.caption)}}}",
        f"\\label{{tab:{table.name}}}",
        f"\\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _latex_row(map(latex_text, columns)),
        r"\midrule",
        *map(_latex_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(texts: Iterable[str]) -> str:
    return " & ".join(texts) + r" \\"


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return text.translate(_LATEX)


def _latex(value: Any) -> str:
    if not isinstance(value, Summary):
        return latex_text(cell_text(value))
    mean, error = (_latex_number(part) for part in rounded(value.mean, value.standard_error))
    number = f"{mean} \\pm {error}" if error else mean
    return f"${number}$ ($n = {value.n}$)"


def _latex_number(text: str) -> str:
    number, e, exponent = text.partition("e")
    return f"{number} \\times 10^{{{int(exponent)}}}" if e else text


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
