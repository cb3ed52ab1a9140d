"""What systemd says about units: one `systemctl show` for all, started early, read late. Runs on the server.

os.posix_spawn and a pipe, because importing `subprocess` takes longer than the question.
"""

from __future__ import annotations

import os
import select
import time

from .system import PATH, CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence

# systemctl(1) show, org.freedesktop.systemd1(5)
PROPERTIES = (
    "Id",
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "Result",
    "ExecMainStatus",
    "MainPID",
)
DEADLINE = 20.0
# to ask for so many costs hardly more than to ask for one
FEW = 16


class Units:
    """Answers about units, kept until they are forgotten.

    Args:
        program: the path of systemctl; None where there is none.
    """

    def __init__(self, program: Optional[str]) -> None:
        self._program = program
        self._names: list[str] = []
        self._answers: dict[str, dict[str, str]] = {}
        self._query: Optional[Query] = None
        self._batch = FEW

    def prefetch(self, names: Sequence[str]) -> None:
        """Start asking about these units."""
        self.forget()
        self._names = list(dict.fromkeys(names))
        if self._program:
            self._query = Query(self._program, self._names)

    def get(self, name: str) -> Mapping[str, str]:
        """The properties of a unit.

        The first question after `forget` is about this unit and a few more, later ones about twice as many each time:
        where hundreds are changed, hundreds are not asked about after each of them.

        Raises:
            CommandFailed: no systemctl, not a unit name, no answer in time.
        """
        if name not in self._answers:
            if self._program is None:
                raise CommandFailed(("systemctl", "show"), 127, (), "systemctl is not installed")
            if name not in self._names:
                self._names.append(name)
            query = self._query or Query(self._program, self._next(name))
            self._query = None
            self._answers.update(query.answers())
            if name not in self._answers:  # one bad name spoils the whole answer: ask for this one alone
                self._answers[name] = Query(self._program, [name]).answer(name)
        return self._answers[name]

    def forget(self) -> None:
        """What was asked may not be true any more."""
        self._answers, self._batch = {}, FEW
        self._discard()

    def _next(self, name: str) -> list[str]:
        """The name and those after it that are not answered, as many as it is time for."""
        after = self._names[self._names.index(name) :]
        names = [known for known in after if known not in self._answers][: self._batch]
        self._batch *= 2
        return names

    def _discard(self) -> None:
        if self._query:
            self._query.discard()
            self._query = None


class Query:
    """One running `systemctl show`."""

    def __init__(self, program: str, names: Sequence[str]) -> None:
        self.names = list(names)
        self.argv = (program, "show", "--no-pager", "--property=" + ",".join(PROPERTIES), "--", *self.names)
        self._end = time.monotonic() + DEADLINE
        self._output, write = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        files = [
            (os.POSIX_SPAWN_DUP2, source, target) for source, target in ((null, 0), (write, 1), (write, 2))
        ]
        env = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
        try:
            self._pid = os.posix_spawn(program, self.argv, env, file_actions=files)
        except OSError:
            os.close(self._output)
            raise
        finally:
            os.close(null)
            os.close(write)

    def answers(self) -> dict[str, dict[str, str]]:
        """Properties by unit name; empty when the answer is not one for each name."""
        blocks, _ = parse(self._read())
        return dict(zip(self.names, blocks)) if len(blocks) == len(self.names) else {}

    def answer(self, name: str) -> dict[str, str]:
        """The properties of the only unit asked for.

        Raises:
            CommandFailed: systemctl gives none.
        """
        blocks, noise = parse(self._read())
        if len(blocks) != 1:
            raise CommandFailed(self.argv, 1, noise, "systemd knows nothing about %s" % name)
        return blocks[0]

    def _read(self) -> str:
        parts: list[bytes] = []
        try:
            while True:
                ready, _, _ = select.select([self._output], [], [], max(0.0, self._end - time.monotonic()))
                if not ready:
                    raise CommandFailed(self.argv, -9, (), "no answer from systemd within %g s" % DEADLINE)
                part = os.read(self._output, 65536)
                if not part:
                    return b"".join(parts).decode("utf-8", "replace")
                parts.append(part)
        finally:
            self.discard()

    def discard(self) -> None:
        """End it; it only reads."""
        os.close(self._output)
        try:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def parse(output: str) -> tuple[list[dict[str, str]], list[str]]:
    """The blocks `Name=value` that systemctl prints, in the order of the names, and other lines: messages."""
    blocks: list[dict[str, str]] = []
    noise = []
    for text in output.split("\n\n"):
        block = {}
        for line in text.splitlines():
            name, found, value = line.partition("=")
            if found and name in PROPERTIES:
                block[name] = value
            elif line:
                noise.append(line)
        if block:
            blocks.append(block)
    return blocks, noise
