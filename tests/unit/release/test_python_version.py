"""`requires-python` against the server's Python."""

from __future__ import annotations

import pytest

from hostwright.remote.release.python_version import fits, wanted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[project]\nname = "x"\nrequires-python = ">=3.10"\n[tool.x]\n', ">=3.10"),
        ("[project]\n  requires-python='>=3.9,<4' # why\n", ">=3.9,<4"),
        ('[project]\nname = "x"\n[tool.other]\nrequires-python = ">=3.14"\n', ""),
        ('[tool.poetry]\nname = "x"\n', ""),
        ("", ""),
    ],
)
def test_what_is_wanted(text: str, found: str) -> None:
    assert wanted(text) == found


@pytest.mark.parametrize(
    ("specifiers", "fine"),
    [
        ("", True), (">=3.10", True), (">=3.11.2", True), (">=3.12", False), (">3.11", True), ("<3.11", False),
        (">=3.9,<4", True), (">=3.9,<3.11", False), ("==3.11.*", True), ("==3.12.*", False), ("!=3.11.*", False),
        ("~=3.10", True), ("~=3.11.0", True), ("~=3.10.0", False), ("==3.11", False), ("<=3.11", False),
        ("~=3.12", False), ("===3.11", True), ("nonsense", True), ("!=3.9.0", True),
    ],
)  # fmt: skip
def test_fits(specifiers: str, fine: bool) -> None:
    assert fits(specifiers, "3.11.2") is fine
