"""Does the server's Python fit what a pyproject.toml asks for? `requires-python`, PEP 440 version specifiers. Pure."""

from __future__ import annotations

import re

# tomllib came with Python 3.11; of a table that is written by hand or by tools this finds the line
TABLE = re.compile(r"(?ms)^\[project\]\s*$(.*?)(?=^\[|\Z)")
WANTED = re.compile(r"""(?m)^\s*requires-python\s*=\s*["']([^"']+)["']""")
CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?\Z")


def wanted(pyproject: str) -> str:
    """The specifiers of `requires-python`, or an empty string."""
    table = TABLE.search(pyproject)
    found = WANTED.search(table.group(1)) if table else None
    return found.group(1).strip() if found else ""


def fits(specifiers: str, version: str) -> bool:
    """Does a version fit? A clause nobody understands is left to uv.

    Args:
        specifiers: ">=3.10,<3.13".
        version: "3.11.2".
    """
    have = _numbers(version)
    return all(_fits(clause.strip(), have) for clause in specifiers.split(","))


def _fits(clause: str, have: tuple[int, ...]) -> bool:
    match = CLAUSE.match(clause)
    if not match:
        return True
    operator, number, prefix = match.groups()
    want = _numbers(number)
    if prefix or operator == "~=":
        same = have[: len(want) - (operator == "~=")] == want[: len(want) - (operator == "~=")]
        if operator == "~=":
            return same and have >= want
        return same if operator == "==" else not same
    length = max(len(want), len(have))
    left, right = _padded(have, length), _padded(want, length)
    return {
        "==": left == right,
        "!=": left != right,
        "<=": left <= right,
        ">=": left >= right,
        "<": left < right,
        ">": left > right,
    }[operator]


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
