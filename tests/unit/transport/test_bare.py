"""What the agent travels without is what no interpreter reads."""

from __future__ import annotations

import ast

import pytest

from hostwright.transport.bare import bare
from hostwright.transport.bundle import agent

SOURCE = '''"""Doc: ü # no comment."""

# a comment
class A: """one line"""


def f(x: str = "# not one") -> str:  # a comment
    """Only
    this # and this.
    """


def g() -> str:
    "plain"
    é = """# text
    # that stays
    """  # but this goes
    return é
'''


def test_comments_and_docstrings_go() -> None:
    found = bare(SOURCE)
    assert found.split("\n") == [
        '""', "", "", 'class A: ""', "", "",
        'def f(x: str = "# not one") -> str:', '    ""', "", "", "", "",
        "def g() -> str:", '    ""', '    é = """# text', "    # that stays", '    """', "    return é", "",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(agent().files))
def test_every_statement_is_what_it_was_and_where(name: str) -> None:
    whole, stripped = ast.parse(agent().files[name]), ast.parse(bare(agent().files[name]))
    for tree in (whole, stripped):
        for node in ast.walk(tree):
            if (
                isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
                and ast.get_docstring(node, clean=False) is not None
            ):
                del node.body[0]
    assert ast.dump(whole, include_attributes=False) == ast.dump(stripped, include_attributes=False)
    lines = [
        [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)] for tree in (whole, stripped)
    ]
    assert lines[0] == lines[1]


def test_a_string_that_looks_like_a_comment_stays() -> None:
    source = (
        'a = "#" + f"# {1:#x} #"  # goes\n'
        'b = (\n    "one # of"  # stays, between two parts of a string\n    " two"\n)  # goes\n'
        'c = f"""\n# stays {a}\n"""  # goes\n'
    )
    found = bare(source)
    assert "goes" not in found
    assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(source))
