"""Text for terminals: cleaned, measured, shortened, wrapped. Pure.

Whatever a server says ends up in a Span, and a Span cleans what it is given: escape sequences, control
characters and marks that reorder text never reach the terminal. Widths are counted in cells: a CJK character
takes two, a combining mark none.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# ECMA-48: control sequences, strings with their terminator, other escapes; 8-bit forms too
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
# a word, where `a command in backticks` is one word, and so is a number with its unit
_WORDS = re.compile(r"(\s*)([^\s`]*`[^`]*`\S*|\(?\d[\d.]* (?:ms|s|min|h)\b\S*|\S+)")
REPLACEMENT = "\ufffd"


def clean(text: str) -> str:
    """One line of text that is safe to print: no controls, no escape sequences, no marks without a glyph.

    Of a line that was overwritten with carriage returns (a progress bar) the last state is kept.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("", text).rstrip("\r\n")
    if "\r" in text:
        text = next((part for part in reversed(text.split("\r")) if part.strip()), "")
    text = text.replace("\n", " ").expandtabs(8)
    return "".join(_safe(char) for char in text)


def _safe(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cc", "Cs"):  # controls, lone surrogates
        return REPLACEMENT
    if category in ("Cf", "Zl", "Zp"):  # bidi overrides, zero-width marks, line separators
        return ""
    return char


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each cleaned."""
    return [clean(line) for line in text.splitlines()]


@dataclass(frozen=True)
class Span:
    """Clean text in one style.

    Args:
        text: anything; it is cleaned.
        style: a name of STYLES in look.py, or empty.
    """

    text: str
    style: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text))


Line = tuple[Span, ...]


def line(*parts: Span | str) -> Line:
    """A line of spans; empty ones are left out."""
    spans = (Span(part) if isinstance(part, str) else part for part in parts)
    return tuple(span for span in spans if span.text)


def text_of(parts: Line) -> str:
    """A line without styles."""
    return "".join(span.text for span in parts)


# -- widths ------------------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """How many columns of a terminal a clean text takes."""
    return len(text) if text.isascii() else sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def head(text: str, width: int) -> str:
    """The longest beginning of a text that fits."""
    used = 0
    for index, char in enumerate(text):
        used += _cell(char)
        if used > width:
            return text[:index]
    return text


def shorten(text: str, width: int, ellipsis: str) -> str:
    """A text cut at its end, where it must be."""
    if cells(text) <= width:
        return text
    return head(text, max(width - cells(ellipsis), 0)).rstrip() + ellipsis


def shorten_middle(text: str, width: int, ellipsis: str) -> str:
    """A text cut in its middle, where it must be; of a path the last part stays, and first ones that fit."""
    if cells(text) <= width:
        return text
    *folders, last = text.split("/")
    for kept in range(len(folders) - 1, 0, -1):
        short = "/".join([*folders[:kept], ellipsis, last])
        if cells(short) <= width:
            return short
    room = max(width - cells(ellipsis), 2)
    front = head(text, room // 3)
    back = head(text[::-1], room - cells(front))[::-1]
    return front + ellipsis + back


def crop(parts: Line, width: int, ellipsis: str) -> Line:
    """A line cut at its end, where it must be."""
    if cells(text_of(parts)) <= width:
        return parts
    kept: list[Span] = []
    left = width
    for span in parts:
        size = cells(span.text)
        if size >= left:  # this is where it ends
            kept.append(Span(shorten(span.text + " " * (left + 1 - size), left, ellipsis), span.style))
            break
        kept.append(span)
        left -= size
    return tuple(kept)


def pad(text: str, width: int) -> str:
    """A text with spaces up to a width."""
    return text + " " * (width - cells(text))


# -- paragraphs --------------------------------------------------------------------------------------------


def wrap(text: str, width: int | None, hang: int = 0) -> list[str]:
    """Break a clean text at spaces; what is in backticks stays whole, and so does a word that is too long.

    Args:
        text: one paragraph; spaces at its beginning are kept.
        width: cells; None: one line.
        hang: spaces before the second and later lines.
    """
    if width is None or cells(text) <= width:
        return [text]
    lines: list[str] = []
    current = ""
    for space, word in _WORDS.findall(text):
        if current.strip() and cells(current) + len(space) + cells(word) > width:
            lines.append(current)
            current = " " * hang + word
        else:
            current += space + word
    return [*lines, current]


def advice(text: str, width: int | None) -> list[str]:
    """Break a hint so that a command in it can be copied: it stays on one line, however long.

    A line that does not begin like a sentence is a command; so is what follows the last colon of a line that
    is too long.
    """
    lines: list[str] = []
    for paragraph in clean_lines(text):
        if width is None or cells(paragraph) <= width or not paragraph[:1].isupper():
            lines.append(paragraph)
            continue
        before, colon, command = paragraph.rpartition(": ")
        if colon and not command[:1].isupper() and "`" not in command:
            lines += [*wrap(before + ":", width), command]
        else:
            lines += wrap(paragraph, width)
    return lines


# -- values ------------------------------------------------------------------------------------------------


def seconds(value: float) -> str:
    """A duration: 0.6 ms, 12 ms, 0.4 s, 11.2 s, 1 min 12 s, 1 h 5 min."""
    if value < 0.00005:
        return "0 ms"
    if value < 0.00095:
        return f"{value * 1000:.1f} ms"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 59.95:
        return f"{value:.1f}".removesuffix(".0") + " s"
    return elapsed(round(value))


def elapsed(value: float) -> str:
    """A duration that is still growing, in whole seconds: what moves must not flicker."""
    whole = int(max(value, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    return f"{whole // 3600} h {whole % 3600 // 60} min".removesuffix(" 0 min")


def gibibytes(size: float) -> str:
    """Memory: 2.0 GiB."""
    return f"{size / 2**30:.1f} GiB"


def command(argv: Sequence[str]) -> str:
    """A command as one line to paste into a shell, also where an argument has controls in it."""
    return " ".join(_quote(word) for word in argv)


def _quote(word: str) -> str:
    if clean(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    # ANSI-C quoting, which bash and zsh know
    return "$'" + "".join(c if clean(c) == c else _escape(c) for c in escaped) + "'"


def _escape(char: str) -> str:
    code = ord(char)
    names = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return names.get(char) or (f"\\x{code:02x}" if code < 0x80 else f"\\U{code:08x}")


def listed(names: Iterable[str], most: int = 8, of: str = "hosts") -> str:
    """Names in a row, or how many there are."""
    found = list(names)
    return ", ".join(found) if len(found) <= most else f"{len(found)} {of}"
