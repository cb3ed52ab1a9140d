"""Of all that an instance wrote: the lines that say why."""

from __future__ import annotations

import json

from hostwright.remote.release.journal import SHOWN, parse, telling

BOOM = [
    "Traceback (most recent call last):",
    '  File "app/main.py", line 1, in <module>',
    "    raise X",
    "ValueError: boom",
]
HALT = [
    "Traceback (most recent call last):",
    '  File "gunicorn/arbiter.py", line 1',
    "gunicorn.errors.HaltServer: <HaltServer 3>",
]


def test_the_workers_traceback_and_not_what_followed_from_it() -> None:
    lines = [
        ("1", "Starting"),
        *(("2", line) for line in BOOM),
        ("1", "[ERROR] Worker exited"),
        *(("1", line) for line in HALT),
    ]
    assert telling(lines) == tuple(BOOM)


def test_workers_that_fail_at_the_same_time_do_not_mix() -> None:
    lines = []
    for line in BOOM:
        lines += [("2", line), ("3", line.replace("boom", "bang"))]
    assert telling(lines)[-1] == "ValueError: bang"
    assert len(telling(lines)) == len(BOOM)


def test_a_long_traceback_shows_its_end() -> None:
    frames = [f"  File {n}" for n in range(50)]
    shown = telling([("1", line) for line in [BOOM[0], *frames, "ValueError: boom", "next line"]])
    assert shown[-1] == "ValueError: boom"
    assert len(shown) == SHOWN


def test_an_exception_of_several_lines() -> None:
    lines = [
        ("1", line)
        for line in [*BOOM[:3], "ValidationError: 2 errors", "  HELLO_GREETING missing", "[INFO] Booting"]
    ]
    assert telling(lines)[-1] == "  HELLO_GREETING missing"


def test_importlibs_own_frames_are_left_out() -> None:
    frozen = '  File "<frozen importlib._bootstrap>", line 1206, in _gcd_import'
    assert frozen not in telling([("1", line) for line in [BOOM[0], frozen, *BOOM[1:]]])


def test_without_a_traceback_the_last_lines() -> None:
    assert telling([("1", f"line {n}") for n in range(99)]) == tuple(f"line {n}" for n in range(79, 99))
    assert telling([]) == ()


def test_only_consequences() -> None:
    assert telling([("1", line) for line in HALT]) == tuple(HALT)


def test_json_logs_are_read_for_people() -> None:
    entry = {"level": "ERROR", "message": "request failed", "exception": "\n".join(BOOM), "path": "/"}
    lines = parse(json.dumps({"MESSAGE": json.dumps(entry), "_PID": "7"}) + "\n")
    assert lines[0] == ("7", "ERROR request failed")
    assert telling(lines) == tuple(BOOM)


def test_other_messages_stay_as_they_are() -> None:
    raw = [
        {"MESSAGE": '{"a": 1}', "_PID": "1"},
        {"MESSAGE": "{not json", "_PID": "1"},
        {"MESSAGE": list(b"\x1b[31mred\x1b[0m"), "_PID": "1"},
        {"MESSAGE": None},
        {"MESSAGE": "two\nlines", "_PID": "2"},
    ]
    text = "\n".join(json.dumps(entry) for entry in raw) + "\nnoise\n"
    assert parse(text) == [
        ("1", '{"a": 1}'),
        ("1", "{not json"),
        ("1", "\x1b[31mred\x1b[0m"),
        ("2", "two"),
        ("2", "lines"),
    ]
