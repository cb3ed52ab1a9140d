"""How commands end and what lstat tells: the values that System gives. Runs on the server."""

from __future__ import annotations

import stat as stat_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

# the last lines of a command that a person wants to see
TAIL = 20


class CommandFailed(Exception):
    """A command ended with an exit code it should not have, or ran past its deadline."""

    def __init__(self, argv: Sequence[str], exit_code: int, tail: Sequence[str], reason: str = "") -> None:
        self.argv = tuple(argv)
        self.exit_code = exit_code
        self.tail = tuple(tail)
        self.reason = reason or "exit code %d" % exit_code
        super().__init__("%s: %s" % (" ".join(argv), self.reason))


class RunCancelled(Exception):
    """The user asked to stop; raised at a safe point."""


class Result:
    """What a command printed and how it ended."""

    def __init__(self, argv: Sequence[str], exit_code: int, out: str, err: str) -> None:
        self.argv = tuple(argv)
        self.exit_code = exit_code
        self.out = out
        self.err = err

    @property
    def ok(self) -> bool:
        """True when the exit code is 0."""
        return self.exit_code == 0

    def tail(self) -> tuple[str, ...]:
        """The last lines of stderr, or of stdout when stderr is empty."""
        return tuple((self.err.strip() or self.out.strip()).splitlines()[-TAIL:])


class Stat:
    """What lstat tells of a path, with names for owner and group where there are any."""

    def __init__(self, kind: str, mode: int, uid: int, gid: int, size: int, mtime: float) -> None:
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime = mtime


def kind_of(mode: int) -> str:
    """file, directory, link or other, from st_mode."""
    kinds = {stat_module.S_IFREG: "file", stat_module.S_IFDIR: "directory", stat_module.S_IFLNK: "link"}
    return kinds.get(stat_module.S_IFMT(mode), "other")
