"""Table: rows under named columns, written as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass

from fedchain.statistics import Interval

TABLE_KINDS = ("csv", "md", "tex")
"""Kinds of table files."""
Cell = str | int | float | Interval | None
"""Content of one cell; None: no value."""
LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    **{sign: f"{{{sign}}}" for sign in "[*"},  # after the \\ of a row they would be its options
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "ε": r"$\varepsilon$",
    "δ": r"$\delta$",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "–": "--",
}
"""LaTeX commands for special characters."""
LEAST_HALF = 0.001
"""Least half of an interval that has a digit of its own."""


@dataclass(frozen=True)
class Table:
    """Rows under named columns."""

    name: str
    """Name of the table's file, without the ending."""
    caption: str
    """Caption of the table."""
    columns: tuple[tuple[str, str], ...]
    """Key and heading of each column. CSV files show the key, other formats the heading."""
    rows: tuple[tuple[Cell, ...], ...]
    """The rows, each with one cell per column."""
    best: frozenset[tuple[int, int]] = frozenset()
    """Places, row and column, of the cells whose numbers are bold: the best of their columns."""
    over: str = ""
    """Words over the columns that are its values, in LaTeX; empty without such columns."""
    values: int = 0
    """Number of the columns, the last ones, that are values of ``over``."""
    study: str = ""
    """Name of the run or sweep, which is part of the label in LaTeX."""


def write_table(table: Table, kind: str) -> str:
    """Return the table as text of one kind: ``csv``, ``md`` or ``tex``."""
    return {"csv": _csv, "md": _markdown, "tex": _latex}[kind](table)


def cell_words(cell: Cell) -> str:
    """Return the text of a cell for Markdown, LaTeX and HTML.

    >>> [cell_words(Interval(0.9, half, 5)) for half in (0.0123, 0.0001, 0.0, math.inf)]
    ['0.900 ± 0.012', '0.900 ± <0.001', '0.900', '0.900']
    >>> cell_words(None), cell_words(0.5)
    ('–', '0.500')
    """
    return "".join(_parts(cell))


def _parts(cell: Cell) -> tuple[str, str]:
    """Return the text of a cell in two parts: its value, and its spread with the sign before it."""
    if cell is None:
        return "–", ""
    if isinstance(cell, Interval):
        return _decimals(cell.mean), _spread_words(cell)
    return _decimals(cell) if isinstance(cell, float) else " ".join(str(cell).split()), ""


def _spread_words(found: Interval) -> str:
    """Return what stands after a mean; nothing if it is not known, or if nothing varies."""
    if not found.varies:
        return ""
    return f" ± {_decimals(found.half)}" if found.half >= LEAST_HALF else f" ± <{LEAST_HALF}"


def bold_parts(table: Table, row: int, column: int) -> tuple[str, str]:
    """Return the text of a cell in two parts: what is bold, since it is the best, and the rest."""
    value, rest = _parts(table.rows[row][column])
    return (value, rest) if (row, column) in table.best else ("", value + rest)


def _csv(table: Table) -> str:
    """Return the table as CSV. A column with intervals becomes three columns: mean, low, high."""
    columns: list[tuple[str, ...]] = []
    for place, (key, _) in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        if any(isinstance(cell, Interval) for cell in cells):
            names = f"{key}_mean", f"{key}_low", f"{key}_high"
            columns += zip(names, *map(_ends, cells), strict=True)
        else:
            texts = ("inf" if cell == "∞" else "" if cell is None else str(cell) for cell in cells)
            columns.append((key, *texts))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
    return text.getvalue()


def _ends(cell: Cell) -> tuple[str, str, str]:
    if not isinstance(cell, Interval):
        return "", "", ""
    ends = (repr(cell.low), repr(cell.high)) if math.isfinite(cell.half) else ("", "")
    return repr(cell.mean), *ends


def _markdown(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(c.replace("\\", "\\\\").replace("|", "\\|") for c in cells) + " |"

    def words(row: int, column: int) -> str:
        bold, rest = bold_parts(table, row, column)
        return f"**{bold}**{rest}" if bold else rest

    wide = range(len(table.columns))
    marks = ["---:" if _numeric(table, column) else "---" for column in wide]
    lines = [line([heading for _, heading in table.columns]), line(marks)]
    lines += [line([words(row, column) for column in wide]) for row in range(len(table.rows))]
    return "\n".join([*lines, "", f"{table.caption}.", ""])


def _numeric(table: Table, column: int) -> bool:
    """Return whether the cells of a column are numbers or empty, and not all of them empty."""
    cells = [cell for row in table.rows if (cell := row[column]) is not None]
    return bool(cells) and all(
        isinstance(c, Interval | float | int) or _is_number(c) for c in cells
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?|∞", text) is not None


def _latex(table: Table) -> str:
    r"""Return the table as a float of LaTeX with the rules of booktabs; numbers stand right."""

    def words(row: int, column: int) -> str:
        bold, rest = map(escape_latex, bold_parts(table, row, column))
        if numeric[column]:
            bold, rest = (re.sub(r"^-(?=\d)", "$-$", text) for text in (bold, rest))
        return rf"\textbf{{{bold}}}{rest}" if bold else rest

    def line(cells: list[str]) -> str:
        return "    " + " & ".join(cells) + r" \\"

    wide = range(len(table.columns))
    numeric = [_numeric(table, column) for column in wide]
    label = re.sub(r"[^A-Za-z0-9]+", "-", f"{table.study}-{table.name}").strip("-")
    body = [line([words(row, column) for column in wide]) for row in range(len(table.rows))]
    heads = [escape_latex(words.removeprefix(f"{table.over} = ")) for _, words in table.columns]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape_latex(table.caption)}.}}",
            rf"  \label{{tab:{label}}}",
            rf"  \begin{{tabular}}{{{''.join('r' if each else 'l' for each in numeric)}}}",
            r"    \toprule",
            *_head_over(table),
            line(heads),
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _head_over(table: Table) -> list[str]:
    """Return the line over the headings of the columns that are values of one thing."""
    if not table.over:
        return []
    before = len(table.columns) - table.values
    words = rf"\multicolumn{{{table.values}}}{{c}}{{{escape_latex(table.over)}}}"
    rule = rf"    \cmidrule(l){{{before + 1}-{len(table.columns)}}}"
    return ["    " + " & ".join([*[""] * before, words]).strip() + r" \\", rule]


def escape_latex(text: str) -> str:
    r"""Return a text escaped for LaTeX. What is escaped needs no LaTeX package.

    >>> print(escape_latex("a_b & 5 % ± ∞"))
    a\_b \& 5 \% $\pm$ $\infty$
    """
    return "".join(LATEX.get(sign, sign) for sign in text)


def _decimals(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"
