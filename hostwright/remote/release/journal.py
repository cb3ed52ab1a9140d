"""What an instance wrote: of all its lines, those that say why it failed."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from ..system import System

    # (process id, text)
    Line = tuple[str, str]

# lines that are read, and lines that a person wants to see
READ, SHOWN = 400, 20
TRACEBACK = "Traceback (most recent call last)"
# gunicorn's own end after its workers failed: theirs tells more
CONSEQUENCES = ("gunicorn.errors.HaltServer", "gunicorn.errors.AppImportError", "SystemExit")
MESSAGES, EXCEPTIONS = (
    ("message", "msg", "event"),
    ("exception", "exc_info", "traceback", "stack_trace", "stack"),
)


def journal(system: System, unit: str, since: int) -> tuple[str, ...]:
    """The telling lines of a unit since a time (Unix seconds)."""
    system.run(("journalctl", "--sync"), timeout=10, check=False, read_only=True)
    argv = (
        "journalctl",
        "--unit=" + unit,
        "--since=@%d" % since,
        "--lines=%d" % READ,
        "--output=json",
        "--output-fields=MESSAGE,_PID",
        "--no-pager",
        "--quiet",
    )
    return telling(parse(system.run(argv, timeout=30, check=False, read_only=True).out))


def parse(out: str) -> list[Line]:
    """The lines of journalctl(1) --output=json; a line of a JSON log becomes what a person would read of it."""
    lines: list[Line] = []
    for raw in out.splitlines():
        try:
            entry = json.loads(raw)
        except ValueError:
            continue
        message = entry.get("MESSAGE") or ""
        if isinstance(message, list):  # bytes that are not plain text: colours, for one
            message = bytes(message).decode("utf-8", "replace")
        lines += [(str(entry.get("_PID", "")), line) for line in _readable(message) if line.strip()]
    return lines


def _readable(message: str) -> list[str]:
    if not message.startswith("{"):
        return message.splitlines()
    try:
        entry: Any = json.loads(message)
    except ValueError:
        return [message]
    text = next((str(entry[key]) for key in MESSAGES if entry.get(key)), "")
    if not text:
        return [message]
    found = ["%s %s" % (entry.get("level", entry.get("levelname", "")), text)]
    for key in EXCEPTIONS:
        if isinstance(entry.get(key), str):
            found += entry[key].splitlines()
    return found


def telling(lines: Sequence[Line]) -> tuple[str, ...]:
    """The last traceback that is no consequence of another; without one, the last lines.

    Workers write at the same time: a traceback is the lines of one process.
    """
    for index in range(len(lines) - 1, -1, -1):
        process, text = lines[index]
        if text.lstrip().startswith(TRACEBACK):
            block = _block([line for pid, line in lines[index:] if pid == process])
            if not any(block[-1].startswith(name) for name in CONSEQUENCES):
                return tuple(line.rstrip() for line in block[-SHOWN:])
    return tuple(text.rstrip() for _, text in lines[-SHOWN:])


def _block(lines: Sequence[str]) -> list[str]:
    """A traceback: its frames, and the exception as far as it goes on over several lines."""
    end = 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    end += 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    return [line for line in lines[:end] if '"<frozen importlib' not in line]
