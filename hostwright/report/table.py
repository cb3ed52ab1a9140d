"""Tables for `inv status` and `inv releases`: aligned text that fits its terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hostwright.report.look import Look
from hostwright.report.text import Line, Span, cells, clean, line, pad, wrap

GAP = 2
# what the last column is left with before a table becomes a list
LEAST = 16


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        name: its header.
        right: aligned at the right: numbers.
    """

    name: str
    right: bool = False


def table(columns: Sequence[Column | str], rows: Sequence[Sequence[object]], look: Look | None = None) -> str:
    """A table as text, without a newline at its end.

    Too wide for the terminal, its last column wraps below itself; still too wide, each row becomes a block of
    `name  value` lines. Elsewhere nothing is wrapped.

    Args:
        columns: headers.
        rows: one value a column; None is shown as "-".
        look: of the stream; none: no terminal.

    Raises:
        ValueError: a row has not as many values as there are columns.
    """
    look = look or Look()
    heads = [column if isinstance(column, Column) else Column(column) for column in columns]
    values = [["-" if value is None else clean(str(value)) for value in row] for row in rows]
    if any(len(row) != len(heads) for row in values):
        raise ValueError("each row needs a value for each column")
    widths = [max([cells(head.name), *(cells(row[i]) for row in values)]) for i, head in enumerate(heads)]
    if look.width is not None:
        fixed = sum(widths[:-1]) + GAP * (len(widths) - 1)
        room = look.width - fixed
        if widths[-1] > room:
            if room < LEAST:
                return _text(look, _blocks(heads, values))
            widths[-1] = room
    header = _row(heads, [head.name for head in heads], widths, "bold")
    return _text(look, [*header, *(part for row in values for part in _row(heads, row, widths, ""))])


def _row(heads: Sequence[Column], values: Sequence[str], widths: Sequence[int], style: str) -> list[Line]:
    parts = [_cell(heads[i], value, widths[i]) for i, value in enumerate(values[:-1])]
    start = "".join(part + " " * GAP for part in parts)
    first, *rest = wrap(values[-1], widths[-1])
    last = _cell(heads[-1], first, widths[-1])
    return [line(Span(start + last, style)), *(line(" " * cells(start), more) for more in rest)]


def _cell(column: Column, value: str, width: int) -> str:
    return " " * (width - cells(value)) + value if column.right else pad(value, width)


def _blocks(heads: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[Line]:
    """Each row as a block, for a terminal that is too narrow."""
    width = max(cells(head.name) for head in heads)
    lines: list[Line] = []
    for row in rows:
        lines += [line()] if lines else []
        for head, value in zip(heads, row, strict=True):
            lines.append(line(Span(pad(head.name, width), "bold"), " " * GAP, value))
    return lines


def _text(look: Look, lines: Sequence[Line]) -> str:
    return "\n".join(look.paint(parts) for parts in lines)
