"""Of all that an instance wrote: the lines that say why."""

from __future__ import annotations

import json

from hostwright.remote.release.journal import SHOWN, journal, parse, telling
from hostwright.testing import FakeSystem

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


def test_only_consequences_and_chatter_say_nothing() -> None:
    lines = ["[2026-11-21 08:27:22 +0000] [7] [INFO] Starting gunicorn 27.0.1", *HALT]
    assert telling([("1", line) for line in lines]) == ()


def test_what_every_worker_says_again_and_again_is_told_once() -> None:
    lines = []
    for number in range(9):
        lines += [
            (str(number), "set FOO"),
            ("1", f"[08:0{number}] [1] [ERROR] Worker (pid:{number}) exited."),
        ]
    assert telling(lines) == ("set FOO", "[08:08] [1] [ERROR] Worker (pid:8) exited.")


def test_what_was_said_before_a_consequence() -> None:
    """gunicorn tells a missing attribute in one line, and then gives up with a long traceback."""
    lines = [
        ("1", "Starting hello@r1.service - hello: release r1..."),
        ("5", "[2026-11-21 08:04:16 +0000] [5] [INFO] Booting worker with pid: 5"),
        ("5", "Failed to find attribute 'nosuch' in 'app.main'."),
        ("5", "[2026-11-21 08:04:16 +0000] [5] [INFO] Worker exiting (pid: 5)"),
        ("4", "[2026-11-21 08:04:16 +0000] [4] [ERROR] Reason: App failed to load."),
        *(("4", line) for line in HALT),
        ("1", "hello@r1.service: Main process exited, code=exited, status=1/FAILURE"),
        ("1", "hello@r1.service: Failed with result 'exit-code'."),
    ]
    assert telling(lines) == (
        "Failed to find attribute 'nosuch' in 'app.main'.",
        "[2026-11-21 08:04:16 +0000] [4] [ERROR] Reason: App failed to load.",
    )


def test_a_traceback_begins_with_the_apps_own_frames() -> None:
    packages = "/srv/hello/venvs/1/lib/python3.11/site-packages"
    loading = [
        f'  File "{packages}/gunicorn/arbiter.py", line 608, in spawn_worker',
        "    worker.init_process()",
        '  File "/usr/lib/python3.11/importlib/__init__.py", line 126, in import_module',
        "    return _bootstrap._gcd_import(name[level:], package, level)",
        "           ^^^^^^^^^^^",
    ]
    app = ['  File "/srv/hello/releases/r1/code/app.py", line 1, in <module>', "    import x"]
    within = [f'  File "{packages}/x/__init__.py", line 1', "    raise Y"]
    lines = [BOOM[0], *loading, *app, *within, "ValueError: boom"]
    assert telling([("5", line) for line in lines]) == (BOOM[0], *app, *within, "ValueError: boom")
    lines = [BOOM[0], *loading, "ValueError: boom"]
    assert telling([("5", line) for line in lines]) == tuple(lines)


def test_the_newest_lines_are_read() -> None:
    """Up to systemd 254, --lines with --since gives the oldest ones, unless it is --reverse."""
    newest_first = [json.dumps({"MESSAGE": f"line {n}", "_PID": "1"}) for n in (3, 2, 1)]
    system = FakeSystem(commands={"journalctl --sync": "", "journalctl ...": "\n".join(newest_first) + "\n"})
    assert journal(system, "hello@r1.service", 5) == ("line 1", "line 2", "line 3")
    assert "--reverse" in system.ran[-1]


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
