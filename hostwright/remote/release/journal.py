"""What an instance wrote: of all its lines, those that say why it failed."""

from __future__ import annotations

import json
import re

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
# what gunicorn and systemd say about every start and end
CHATTER = re.compile(
    r"\[[^]]*\] \[\d+\] \[INFO\] (Starting gunicorn|Listening at|Using worker|Control socket|Booting worker"
    r"|Handling signal|Worker exiting|Shutting down|Worker \(pid:\d+\) was sent)"
    r"|(Starting|Started|Stopping|Stopped) \S+@\S+\.(service|socket)\b"
    r"|\S+@\S+\.service: (Main process exited|Failed with result|Scheduled restart|Deactivated|Consumed)"
)
# what differs where gunicorn says the same of each worker
COUNTED = re.compile(r"\[[^]]*\] \[\d+\]|pid:\d+")
# frames of what loads and calls the app; before them is nothing of it
FRAME = re.compile(r'  File "')
LOADER = re.compile(
    r'  File "[^"]*/(?:bin/gunicorn|(?:gunicorn|uvicorn|uvicorn_worker|importlib|asyncio)/[^"]*)"'
)
MESSAGES, EXCEPTIONS = (
    ("message", "msg", "event"),
    ("exception", "exc_info", "traceback", "stack_trace", "stack"),
)


def journal(system: System, unit: str, since: int) -> tuple[str, ...]:
    """The telling lines of a unit since a time (Unix seconds)."""
    system.run(("journalctl", "--sync"), timeout=10, check=False, read_only=True)
    # --reverse: up to systemd 254, --lines with --since means the first lines, not the last
    argv = (
        "journalctl",
        "--unit=" + unit,
        "--since=@%d" % since,
        "--lines=%d" % READ,
        "--reverse",
        "--output=json",
        "--output-fields=MESSAGE,_PID",
        "--no-pager",
        "--quiet",
    )
    newest_first = system.run(argv, timeout=30, check=False, read_only=True).out.splitlines()
    return telling(parse("\n".join(reversed(newest_first))))


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
    """The last traceback that is no consequence of another; without one, the last lines that say something; or nothing.

    Workers write at the same time: a traceback is the lines of one process.
    """
    rest = list(lines)
    for index in range(len(lines) - 1, -1, -1):
        process, text = lines[index]
        if not text.lstrip().startswith(TRACEBACK):
            continue
        block = _block([line for pid, line in lines[index:] if pid == process])
        if not any(block[-1].startswith(name) for name in CONSEQUENCES):
            return tuple(line.rstrip() for line in _of_the_app(block)[-SHOWN:])
        # the process writes nothing but its end after that
        rest = rest[:index] + [line for line in rest[index:] if line[0] != process]
    # the same again and again is told once, where it was said last
    said: dict[str, str] = {}
    for _, text in reversed(rest):
        if not CHATTER.match(text):
            said.setdefault(COUNTED.sub("", text), text.rstrip())
    return tuple(reversed(list(said.values())[:SHOWN]))


def _block(lines: Sequence[str]) -> list[str]:
    """A traceback: its frames, and the exception as far as it goes on over several lines."""
    end = 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    end += 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    return [line for line in lines[:end] if '"<frozen importlib' not in line]


def _of_the_app(block: Sequence[str]) -> Sequence[str]:
    """A traceback from its first frame that is not of what loads the app."""
    for index, line in enumerate(block):
        if FRAME.match(line) and not LOADER.match(line):
            return [block[0], *block[index:]]
    return block
