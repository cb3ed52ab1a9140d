"""How a stream can look: its width, colours, motion and characters; and lines made into strings for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from hostwright.report.text import Line, Span

# style -> SGR parameters (ECMA-48 8.3.117). Colour adds, it never informs alone: every line says it in words.
STYLES = {
    "host": "1",
    "dim": "2",
    "created": "32",
    "changed": "33",
    "removed": "31",
    "unknown": "35",
    "running": "36",
    "failed": "1;31",
    "good": "32",
    "bold": "1",
}
# how wide lines are laid out where nobody can tell
WIDTH = 80
NARROWEST = 20


@dataclass(frozen=True)
class Look:
    """What a stream can show.

    Args:
        width: columns of the terminal; None when it is none: then nothing is wrapped or shortened.
        colour: SGR sequences are welcome.
        motion: the cursor may move.
        encoding: of the stream; characters it lacks are escaped.
    """

    width: int | None = None
    colour: bool = False
    motion: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Look:
        """What a stream and the environment tell.

        NO_COLOR takes the colour and leaves the motion (no-color.org), FORCE_COLOR gives colour to a pipe,
        TERM=dumb and CI take the motion.
        """
        terminal = stream.isatty()
        dumb = environ.get("TERM") == "dumb"
        calm = dumb or _yes(environ.get("CI"))
        colour = terminal and not calm
        if environ.get("FORCE_COLOR"):
            colour = _yes(environ.get("FORCE_COLOR"))
        if environ.get("NO_COLOR"):
            colour = False
        return cls(
            _columns(stream, environ) if terminal else None,
            colour,
            terminal and not calm,
            getattr(stream, "encoding", None) or "utf-8",
        )

    @property
    def unicode(self) -> bool:
        """Can it show more than ASCII?"""
        return self.encodable("\u2026\u280b") == "\u2026\u280b"

    @property
    def ellipsis(self) -> str:
        """What stands for text that was left out."""
        return "\u2026" if self.unicode else "..."

    def encodable(self, text: str) -> str:
        """The text with what the stream cannot encode as escapes."""
        if text.isascii():
            return text
        try:
            return text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        except LookupError:  # an encoding nobody knows
            return text.encode("ascii", "backslashreplace").decode("ascii")

    def paint(self, parts: Line) -> str:
        """A line as a string for this stream, without trailing spaces."""
        last = len(parts) - 1
        return "".join(self._painted(span, index == last) for index, span in enumerate(parts))

    def _painted(self, span: Span, last: bool) -> str:
        text = self.encodable(span.text.rstrip() if last else span.text)
        code = STYLES.get(span.style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text else text


def _yes(value: str | None) -> bool:
    return bool(value) and str(value).lower() not in ("0", "false", "no")


def _columns(stream: TextIO, environ: Mapping[str, str]) -> int:
    given = environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given) > 0:
        return max(int(given), NARROWEST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns or WIDTH, NARROWEST)
    except (OSError, ValueError):
        return WIDTH
