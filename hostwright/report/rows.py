"""One line a thing: mark, kind, name, what about it, and at the right how long it took. Pure."""

from __future__ import annotations

from hostwright.report.look import WIDTH, Look
from hostwright.report.text import Line, Span, cells, line, pad, shorten, shorten_middle, text_of, wrap

KIND_COLUMN, NAME_COLUMN, STEP_COLUMN = 9, 14, 8
# below this many columns nothing is aligned: the space is needed
COMFORTABLE = 60
WIDEST = 100
GAP = 2
# where a line goes on
INDENT = 6
# what a shortened name and a shortened detail are left with
LEAST_NAME, LEAST_DETAIL = 10, 14


class Rows:
    """Lays out rows for a stream.

    On a terminal a row is never longer than the screen is wide: first the alignment goes, then the detail,
    then the middle of the name. Elsewhere nothing is shortened.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        # a number at the far end of a wide screen is far from what it is about
        self._width = min(look.width or WIDTH, WIDEST)
        self._comfortable = self._width >= COMFORTABLE

    def resource(
        self, lead: Line, kind: str, name: str, detail: str = "", right: str = "", style: str = "dim"
    ) -> Line:
        """A resource: `lead` is prefix and mark."""
        kind = pad(kind, KIND_COLUMN) if self._comfortable and name else kind
        start = line(*lead, Span(kind + " ", "dim") if name else kind)
        return self._row(start, name, detail, right, NAME_COLUMN, style)

    def told(self, lead: Line, kind: str, name: str, detail: str, right: str = "") -> list[Line]:
        """A resource whose detail must be read: what does not fit beside the name stands below it."""
        row = self.resource(lead, kind, name, detail, right, style="")
        name, detail = Span(name).text, Span(detail).text
        if self._look.width is None or (detail in text_of(row) and name in text_of(row)):
            return [row]
        at = " " * max(INDENT, _cells(lead))
        below = [line(at, part) for part in wrap(detail, self._width - len(at))]
        return [self.resource(lead, kind, name, "", right), *below]

    def step(self, lead: Line, step: str, detail: str, right: str) -> Line:
        """A step of a deploy: its detail is what people read."""
        start = line(*lead, Span(pad(step, STEP_COLUMN if self._comfortable else 0) + " ", "dim"))
        detail = Span(detail).text
        if self._look.width is not None:
            free = self._width - _cells(start) - (cells(right) + GAP if right else 0)
            detail = shorten(detail, max(free, LEAST_DETAIL), self._look.ellipsis)
        return self._row(start, detail, "", right, 0)

    def header(self, lead: Line, text: str, right: str) -> Line:
        """The first line of a host; on a narrow terminal only what fits."""
        free = self._width - _cells(lead)
        if self._look.width is not None and cells(text) + GAP + cells(right) > free:
            return line(*lead, shorten(text, free, self._look.ellipsis))
        return line(*lead, text, self._right(right, _cells(lead) + cells(text)))

    def summary(self, lead: Line, text: Line, right: str) -> list[Line]:
        """The last line of a host, with how long it took; it wraps, nothing of it is cut."""
        at = " " * _cells(lead)
        lines, current = [], lead
        for span in text:
            if self._look.width is not None and _cells(current) + cells(span.text.rstrip()) > self._width:
                lines.append(current)
                current = line(at)
            current = (*current, span)
        used = _cells(current)
        if self._look.width is None or used + GAP + cells(right) <= self._width:
            return [*lines, (*current, self._right(right, used))]
        return [*lines, current, line(at, Span(right, "dim"))]

    def _row(self, start: Line, name: str, detail: str, right: str, column: int, style: str = "dim") -> Line:
        used = _cells(start)
        free = self._width - used - (cells(right) + GAP if right else 0)
        # cleaned before it is measured
        name, detail = Span(name).text, Span(detail).text
        aligned = pad(name, column) if detail and self._comfortable else name
        if detail and cells(aligned) + GAP + cells(detail) > free:
            aligned = name
        if self._look.width is not None:
            aligned, detail = self._squeezed(aligned, detail, free)
        gap = " " * GAP if detail else ""
        used += cells(aligned) + len(gap) + cells(detail)
        return line(*start, aligned, gap, Span(detail, style), self._right(right, used))

    def _squeezed(self, name: str, detail: str, free: int) -> tuple[str, str]:
        dots = self._look.ellipsis
        if cells(name) + (GAP + cells(detail) if detail else 0) <= free:
            return name, detail
        if not detail:
            return shorten_middle(name, max(free, LEAST_NAME), dots), ""
        # the last part of a path is what it is known by
        known = min(cells(name), max(cells(name.rpartition("/")[2]) + len("/x/"), LEAST_NAME))
        for least in (min(cells(detail), free // 2), min(cells(detail), LEAST_DETAIL)):
            if free - GAP - least >= known:
                short = shorten_middle(name, free - GAP - least, dots)
                return short, shorten(detail, free - GAP - cells(short), dots)
        return shorten_middle(name, max(free, LEAST_NAME), dots), ""

    def _right(self, right: str, used: int) -> Span:
        if not right:
            return Span("")
        return Span(" " * max(self._width - used - cells(right), GAP) + right, "dim")


def _cells(parts: Line) -> int:
    return sum(cells(span.text) for span in parts)
