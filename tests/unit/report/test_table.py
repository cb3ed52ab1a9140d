from __future__ import annotations

import pytest

from hostwright.report import Column, Look, table

COLUMNS = ("host", "release", Column("cpu", right=True), "notes")
ROWS = (
    ("web1", "4f2c1d9  12 min", "4%", None),
    ("web2", "4f2c1d9  12 min", "13%", "disk; reboot needed (kernel)"),
    ("db1", None, None, "\x1b[31munreachable\x1b[0m: timed out after 5 s"),
)


def test_a_pipe_gets_all_of_it() -> None:
    assert table(COLUMNS, ROWS) == (
        "host  release          cpu  notes\n"
        "web1  4f2c1d9  12 min   4%  -\n"
        "web2  4f2c1d9  12 min  13%  disk; reboot needed (kernel)\n"
        "db1   -                  -  unreachable: timed out after 5 s"
    )


def test_the_last_column_wraps_below_itself() -> None:
    assert table(COLUMNS, ROWS, Look(width=46)) == (
        "host  release          cpu  notes\n"
        "web1  4f2c1d9  12 min   4%  -\n"
        "web2  4f2c1d9  12 min  13%  disk; reboot\n"
        "                            needed (kernel)\n"
        "db1   -                  -  unreachable: timed\n"
        "                            out after 5 s"
    )


def test_a_narrow_terminal_gets_blocks() -> None:
    assert table(COLUMNS, ROWS[:2], Look(width=40)) == (
        "host     web1\n"
        "release  4f2c1d9  12 min\n"
        "cpu      4%\n"
        "notes    -\n"
        "\n"
        "host     web2\n"
        "release  4f2c1d9  12 min\n"
        "cpu      13%\n"
        "notes    disk; reboot needed (kernel)"
    )


def test_only_the_header_is_bold() -> None:
    painted = table(("a", "b"), [("1", "2")], Look(colour=True))
    assert painted == "\x1b[1ma  b\x1b[0m\n1  2"


def test_wide_characters_are_aligned() -> None:
    assert table(("name", "x"), [("世界世", "1"), ("ab", "2")]) == "name    x\n世界世  1\nab      2"


def test_empty() -> None:
    assert table(("host", "release"), []) == "host  release"


def test_a_row_of_another_length() -> None:
    with pytest.raises(ValueError, match="each row needs a value"):
        table(("a", "b"), [("1",)])
