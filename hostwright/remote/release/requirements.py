"""Requirement files as pip and uv read them, as far as a deploy must understand them. Pure; used by both sides.

pip's "Requirements File Format": continued lines, comments, options, nested files.
"""

from __future__ import annotations

import posixpath
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    # the content of a file of the commit by its path, or None
    Read = Callable[[str], Optional[bytes]]

COMMENT = re.compile(r"(^|\s)#.*$")
OPTION = re.compile(r"(-[a-z]|--[a-z][a-z-]*)(?:\s+|=|$)(.*)", re.DOTALL)
NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?=$|[<>=!~;@(]|--)")
SEPARATORS = re.compile(r"[-_.]+")
DEPTH = 10


class Problem(Exception):
    """A requirement file that cannot be deployed: `where` is file:line, or the file."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        super().__init__("%s: %s" % (where, message))
        self.message = "%s: %s" % (where, message)
        self.hint = hint


class Requirements:
    """What a requirement file and those it includes ask for.

    Attributes:
        names: of the packages, normalised (PEP 503); a bare URL has none.
        lines: the logical lines without comments, nested files in their place.
        hashed: every requirement has a hash, so that nothing is left to resolve.
        local: (file:line, text) of dependencies that are paths.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.lines: list[str] = []
        self.hashed = True
        self.local: list[tuple[str, str]] = []

    @property
    def text(self) -> str:
        """One file that says the same."""
        return "".join(line + "\n" for line in self.lines)


def normal(name: str) -> str:
    """A package's name as PEP 503 writes it."""
    return SEPARATORS.sub("-", name).lower()


def logical_lines(text: str) -> list[tuple[int, str]]:
    """(number, line) without comments and with continued lines joined."""
    lines: list[tuple[int, str]] = []
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        if line.rstrip().endswith("\\") and not COMMENT.search(line):
            joined += line.rstrip()[:-1] + " "
            continue
        whole = " ".join(COMMENT.sub("", joined + line).split())
        if whole:
            lines.append((start, whole))
        joined, start = "", 0
    if joined.strip():
        lines.append((start, " ".join(joined.split())))
    return lines


def parse(read: Read, path: str, root: str = "") -> Requirements:
    """Read a requirement file and what it includes.

    Args:
        read: gives the commit's files.
        path: in the repository.
        root: prefix of relative paths in options (--find-links), so that they hold elsewhere.

    Raises:
        Problem: a file is missing, includes itself, or is not text.
    """
    found = Requirements()
    _read_into(found, read, posixpath.normpath(path), root, ())
    return found


def _read_into(found: Requirements, read: Read, path: str, root: str, within: Sequence[str]) -> None:
    content = read(path)
    if content is None:
        raise Problem(within[-1] if within else path, "there is no %s in this commit" % path)
    if path in within or len(within) > DEPTH:
        raise Problem(within[-1], "it includes itself through %s" % path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(path, "it is not UTF-8 text") from error
    for number, line in logical_lines(text):
        where = "%s:%d" % (path, number)
        option = OPTION.match(line) if line.startswith("-") else None
        if option is None:
            _add(found, line, where)
            continue
        name, value = option.group(1), option.group(2).strip()
        if name in ("-r", "--requirement"):
            nested = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
            _read_into(found, read, nested, root, (*within, path))
        elif name in ("-e", "--editable"):
            found.local.append((where, line))
        elif name in ("-c", "--constraint"):
            # constraints are only of use to a resolver
            found.hashed = False
            nested = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
            if "://" not in value and read(nested) is None:
                raise Problem(where, "there is no %s in this commit" % nested)
            found.lines.append(line if "://" in value else "-c %s" % posixpath.join(root, nested))
        elif name in ("-f", "--find-links") and "://" not in value and not value.startswith("/"):
            nested = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
            found.lines.append("--find-links %s" % posixpath.join(root, nested))
        elif name != "--require-hashes":
            found.lines.append(line)


def _add(found: Requirements, line: str, where: str) -> None:
    match = NAME.match(line)
    spec = line[match.end() :].lstrip() if match else line
    target = spec[1:].strip() if spec.startswith("@") else "" if match else line
    if target and _is_local(target):
        found.local.append((where, line))
        return
    if match:
        found.names.add(normal(match.group(1)))
    found.hashed = found.hashed and "--hash=" in line
    found.lines.append(line)


def _is_local(target: str) -> bool:
    return target.startswith("file:") or "://" not in target


def without(text: str, names: set[str]) -> str:
    """The requirements of a file that are not about these packages (normalised names); options are left out."""
    kept = []
    for _, line in logical_lines(text):
        match = NAME.match(line)
        if match and normal(match.group(1)) not in names:
            kept.append(line)
    return "".join(line + "\n" for line in kept)
