from __future__ import annotations

import subprocess

import pytest

from hostwright.report.text import (
    Span,
    advice,
    cells,
    clean,
    command,
    crop,
    elapsed,
    line,
    listed,
    seconds,
    shorten,
    shorten_middle,
    text_of,
    wrap,
)


@pytest.mark.parametrize(
    ("dirty", "safe"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[H\x1b[?25lgone", "gone"),
        ("\x1b]0;a new title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never closed, so it must stay readable", "0;never closed, so it must stay readable"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
        ("\x9b31m8 bit", "8 bit"),
        ("\x1bcreset", "reset"),
        ("\x1b", "\ufffd"),
        ("bell\x07 back\x08 nul\x00 del\x7f", "bell\ufffd back\ufffd nul\ufffd del\ufffd"),
        ("10%\r50%\r100%", "100%"),
        ("done\r", "done"),
        ("a\tb", "a       b"),
        ("safe\u202ecod.exe\u202c", "safecod.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("two\nlines", "two lines"),
        ("Grüße, 世界 🚀", "Grüße, 世界 🚀"),
    ],
)
def test_nothing_but_text_is_left(dirty: str, safe: str) -> None:
    assert clean(dirty) == safe
    assert Span(dirty).text == safe


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("世界", 4), ("e\u0301", 1), ("", 0), ("🚀", 2)])
def test_cells(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.0006, "0.6 ms"),
        (0.00094, "0.9 ms"),
        (0.001, "1 ms"),
        (0.012, "12 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (0.41, "0.4 s"),
        (9.94, "9.9 s"),
        (11.2, "11.2 s"),
        (30.0, "30 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (72.3, "1 min 12 s"),
        (119.7, "2 min"),
        (3599.6, "1 h"),
        (3900, "1 h 5 min"),
    ],
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(-1, "0 s"), (0.9, "0 s"), (31.9, "31 s"), (61, "1 min 1 s")])
def test_elapsed_is_in_whole_seconds(value: float, text: str) -> None:
    assert elapsed(value) == text


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("/etc/nginx/nginx.conf", 21, "/etc/nginx/nginx.conf"),
        ("/etc/nginx/nginx.conf", 20, "/etc/…/nginx.conf"),
        ("/etc/nginx/nginx.conf", 13, "/…/nginx.conf"),
        ("/etc/nginx/nginx.conf", 12, "/et…inx.conf"),
        ("a-very-long-name.service", 12, "a-v….service"),
    ],
)
def test_the_end_of_a_path_stays(text: str, width: int, short: str) -> None:
    assert shorten_middle(text, width, "…") == short
    assert cells(short) <= width


def test_shorten_counts_cells() -> None:
    assert shorten("世界世界", 7, "…") == "世界世…"
    assert shorten("世界世界", 6, "...") == "世..."
    assert shorten("abc", 3, "…") == "abc"


def test_crop_keeps_styles() -> None:
    parts = line(Span("web1", "host"), "  ", Span("a long tail", "dim"))
    assert crop(parts, 100, "…") == parts
    assert text_of(crop(parts, 10, "…")) == "web1  a l…"
    assert crop(parts, 10, "…")[0] == Span("web1", "host")
    for width in range(1, 20):
        assert cells(text_of(crop(parts, width, "…"))) <= width


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 10, ["short"]),
        ("one two three", 8, ["one two", "  three"]),
        ("run `inv deploy --host web1` now", 12, ["run", "  `inv deploy --host web1`", "  now"]),
        ("since 14:02 (38 s) ago", 15, ["since 14:02", "  (38 s) ago"]),
        ("a/very/long/word b", 5, ["a/very/long/word", "  b"]),
        ("web1  keeps its gap and wraps", 20, ["web1  keeps its gap", "  and wraps"]),
        ("never wrapped where there is no terminal", None, ["never wrapped where there is no terminal"]),
    ],
)
def test_wrap(text: str, width: int | None, lines: list[str]) -> None:
    assert wrap(text, width, hang=2) == lines


def test_a_command_in_a_hint_stays_on_one_line() -> None:
    hint = "Either it was reinstalled, or someone is in between. If it was you: ssh-keygen -R 203.0.113.10"
    assert advice(hint, 40) == [
        "Either it was reinstalled, or someone is",
        "in between. If it was you:",
        "ssh-keygen -R 203.0.113.10",
    ]
    assert advice("inv provision --host web1 --identity ~/.ssh/a_key --wait 600", 30) == [
        "inv provision --host web1 --identity ~/.ssh/a_key --wait 600"
    ]
    assert advice("Type `inv cancel --host web1` to stop it.", 20) == [
        "Type",
        "`inv cancel --host web1`",
        "to stop it.",
    ]


@pytest.mark.parametrize(
    "argument", ["plain", "two words", "it's", "a\nb\tc\\d", "\x1b[31m", "世界", "", "$HOME", "é\x07'"]
)
def test_a_shown_command_can_be_pasted(argument: str) -> None:
    shown = command(("printf", "%s", argument))
    assert clean(shown) == shown
    assert subprocess.run(("bash", "-c", shown), capture_output=True, check=True).stdout.decode() == argument


def test_many_names_are_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(12))) == "12 hosts"
