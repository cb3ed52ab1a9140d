"""PyYAML's syntax errors in words for people who did not write a YAML parser."""

from __future__ import annotations

import re

import yaml
from yaml.error import Mark
from yaml.reader import ReaderError

# what PyYAML says -> what it means; {0} is the first group
WORDS = (
    (r"found character '\\t'", "a tab: YAML is indented with spaces"),
    (r"found character '(.)' that cannot start", "a value cannot begin with {0}: put it in quotes"),
    (
        r"mapping values are not allowed",
        'a ":" where none can be: wrong indentation, a forgotten ":" above, or text that needs quotes',
    ),
    (
        r"sequence entries are not allowed",
        'a list item "- " cannot begin here: start it on a line of its own',
    ),
    (r"found undefined alias '(.*)'", "*{0} is used, but no &{0} stands before it"),
    (r"found unknown escape character '(.)'", "\\{0} means nothing in double quotes: use single quotes"),
    (r"but found another document", "a second document begins here; an inventory is one"),
    (r"second occurrence", "this anchor was used before: give each its own name"),
    (r"expected '<document start>'", "wrong indentation: this line belongs to nothing above"),
)
# those whose beginning tells more than the place where the parser gave up
FROM_START = (
    (r"could not find expected ':'", 'expected "key: value" on this line'),
    (r"found unexpected end of stream", "the quote that opens here is never closed"),
    (r"expected ',' or '\}'", 'the "{{" that opens here is not closed, or a "," is missing'),
    (r"expected ',' or '\]'", 'the "[" that opens here is not closed, or a "," is missing'),
)
BLOCK_END = "wrong indentation, or text after a closed quote: this does not fit the lines above"


def explain_syntax(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """Line, column (both from 1) and meaning of a syntax error in `text`."""
    if isinstance(error, ReaderError):
        before = text[: error.position]
        line = before.count("\n") + 1
        column = error.position - before.rfind("\n")
        return line, column, f"the character U+{ord(text[error.position]):04X} is not allowed"
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, 1, str(error)
    problem = error.problem or ""
    for pattern, words in FROM_START:
        if re.search(pattern, problem):
            return *_position(error.context_mark or error.problem_mark), words.format()
    for pattern, words in WORDS:
        found = re.search(pattern, problem)
        if found:
            return *_position(error.problem_mark), words.format(*found.groups())
    if "expected <block end>" in problem:
        return *_position(error.problem_mark), BLOCK_END
    return *_position(error.problem_mark), f"{error.context or ''} {problem}".strip()


def _position(mark: Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
