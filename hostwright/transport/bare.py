"""Sources without what only people read: the agent travels without it, and a traceback keeps its line numbers."""

from __future__ import annotations

import ast
import io
import tokenize
from functools import lru_cache


@lru_cache(maxsize=512)  # several hosts may need it in one run
def bare(source: str) -> str:
    """The same program without docstrings and comments; every statement stays on its line.

    Raises:
        SyntaxError: not a program.
    """
    lines = [line.encode() for line in source.split("\n")]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            text = source.split("\n")[row - 1] if not lines[row - 1].isascii() else None
            # tokenize counts characters
            end = len(text[:column].encode()) if text is not None else column
            lines[row - 1] = lines[row - 1][:end].rstrip()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            _without_docstring(node, lines)
    return b"\n".join(lines).decode()


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
