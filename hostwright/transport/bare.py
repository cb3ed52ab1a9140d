"""Sources without what only people read: the agent travels without it, and a traceback keeps its line numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def bare(source: str) -> str:
    """The same program without docstrings and comments; every statement stays on its line.

    A comment begins with the first # that is in no string. tokenize would tell too, in three times the time, while a
    new server waits. Comments between the parts of one string stay.

    Raises:
        SyntaxError: not a program.
    """
    lines = [line.encode() for line in source.split("\n")]
    documented: list[ast.AST] = []
    strings: dict[int, list[tuple[int, int]]] = {}
    for node in _walk(ast.parse(source)):
        if isinstance(node, WITH_DOCSTRING):
            documented.append(node)
        elif isinstance(node, (ast.JoinedStr, ast.Constant)):
            _note(node, lines, strings)
    for row, line in enumerate(lines):
        at = line.find(b"#")
        while any(begin <= at < end for begin, end in strings.get(row, ())):
            at = line.find(b"#", at + 1)
        if at >= 0:
            lines[row] = line[:at].rstrip()
    for node in documented:
        assert isinstance(node, WITH_DOCSTRING)
        _without_docstring(node, lines)
    return b"\n".join(lines).decode()


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, but not what is within a string."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, ast.JoinedStr):
            left.extend(ast.iter_child_nodes(node))


def _note(
    node: ast.JoinedStr | ast.Constant, lines: list[bytes], strings: dict[int, list[tuple[int, int]]]
) -> None:
    """Remember where a string is, row by row; in bytes, as ast counts."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    first, last = node.lineno - 1, node.end_lineno - 1
    for row in range(first, last + 1):
        if b"#" in lines[row]:
            begin = node.col_offset if row == first else 0
            end = node.end_col_offset if row == last else len(lines[row])
            strings.setdefault(row, []).append((begin, end))


def _without_docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, lines: list[bytes]
) -> None:
    if ast.get_docstring(node, clean=False) is None:
        return
    first = node.body[0]
    assert first.end_lineno is not None
    assert first.end_col_offset is not None
    # ast counts bytes. An empty string instead: it may be all that a body has
    before, after = lines[first.lineno - 1][: first.col_offset], lines[first.end_lineno - 1]
    lines[first.lineno - 1] = before + b'""' + after[first.end_col_offset :]
    for row in range(first.lineno, first.end_lineno):
        lines[row] = b""
