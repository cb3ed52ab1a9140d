"""Numbers that remember how they were written, because YAML 1.1 reads 022 as 18 and 1.10 as 1.1."""

from __future__ import annotations

import json


class WrittenInt(int):
    """An integer and its text in the file."""

    text: str

    def __new__(cls, value: int, text: str) -> WrittenInt:
        """`value` as YAML reads `text`."""
        number = super().__new__(cls, value)
        number.text = text
        return number


class WrittenFloat(float):
    """A number with a fraction and its text in the file."""

    text: str

    def __new__(cls, value: float, text: str) -> WrittenFloat:
        """`value` as YAML reads `text`."""
        number = super().__new__(cls, value)
        number.text = text
        return number


def as_written(value: object) -> str:
    """The text of a number as it stands in the file."""
    return value.text if isinstance(value, (WrittenInt, WrittenFloat)) else str(value)


def is_surprising(value: object) -> bool:
    """Whether YAML reads a number as another one than a person would: 022, 1_000, 22:30, 0x1F."""
    if isinstance(value, WrittenInt):
        return value.text.removeprefix("+") != str(int(value))
    return isinstance(value, WrittenFloat) and any(char in value.text for char in ":_")


def describe(value: object) -> str:
    """What was found, for the end of an error: `got "22a"`, `got 022, which YAML reads as 18`."""
    if value is None:
        return "got nothing"
    if isinstance(value, bool):
        return f"got the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        meaning = f", which YAML reads as {value + 0}" if is_surprising(value) else ""
        return f"got {as_written(value)}{meaning}"
    if isinstance(value, str):
        short = value if len(value) <= 60 else value[:57] + "..."
        return f"got {json.dumps(short, ensure_ascii=False)}"
    return "got a list" if isinstance(value, (list, tuple)) else "got a mapping"
