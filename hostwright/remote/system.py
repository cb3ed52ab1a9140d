"""The only access to the operating system. Runs on the server under the system Python, standard library only.

Resources and the release transaction take a System, so tests give them a FakeSystem (hostwright/testing.py).
"""

from __future__ import annotations

import os
import stat as stat_module
import time

from .names import Names
from .outcome import TAIL, CommandFailed, Result, RunCancelled, Stat, kind_of
from .packets import Packets
from .storage import Storage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Mapping, Optional, Sequence

    from .features import Features
    from .units import Units

    Line = Callable[[str], None]

__all__ = ["PATH", "TAIL", "CommandFailed", "Result", "RunCancelled", "Stat", "System"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class System(Names, Packets, Storage):
    """The server itself."""

    def __init__(self) -> None:
        # set when the user asks to stop; long commands that may be cut short look at it
        self.cancelled: Callable[[], bool] = lambda: False
        self._units: Optional[Units] = None
        self._answers: Optional[Features] = None

    def apart(self) -> System:
        """The same server for another thread: what is known about units, and the question that is asked about them,
        are of one thread."""
        return System()

    # -- commands ----------------------------------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        check: bool = True,
        input: Optional[bytes] = None,
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[str] = None,
        on_line: Optional[Line] = None,
        cancellable: bool = False,
        read_only: bool = False,
    ) -> Result:
        """Run a command in a process group of its own, never through a shell.

        Args:
            argv: the command.
            timeout: seconds until the whole group is ended.
            check: raise when the exit code is not 0.
            input: bytes for its stdin; without, stdin is /dev/null.
            env: added to a minimal environment (PATH, LC_ALL=C.UTF-8, HOME=/root).
            on_line: called with each line of stdout and stderr as it comes.
            cancellable: the command may be ended when the user cancels (it leaves nothing half done).
            read_only: it changes nothing, so what is known about units stays true.

        Raises:
            CommandFailed: exit code, deadline, or the program does not exist (exit code 127).
            RunCancelled: ended because the user cancelled.
        """
        from . import process

        if not read_only:
            self.forget_units()
        result = process.run(
            argv,
            timeout=timeout,
            input=input,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})},
            cwd=cwd,
            on_line=on_line,
            cancelled=self.cancelled if cancellable else None,
        )
        if check and not result.ok:
            raise CommandFailed(argv, result.exit_code, result.tail())
        return result

    def stream(self, argv: Sequence[str], *, timeout: float, on_out: Line, on_err: Line) -> Result:
        """Run a command whose lines matter as they are: whole, and stdout apart from stderr; cancellable.

        Raises:
            CommandFailed: it ran past its deadline (seconds).
            RunCancelled
        """
        from . import process

        return process.run(
            argv, timeout=timeout, input=None, env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"}, cwd=None,
            on_line=on_out, on_error=on_err, whole=True, cancelled=self.cancelled,
        )  # fmt: skip

    def capture(
        self, argv: Sequence[str], *, timeout: float, env: Optional[Mapping[str, str]] = None
    ) -> tuple[int, bytes, bytes]:
        """(exit code, stdout, stderr) of a command that changes nothing: every byte of it, as it is.

        Raises:
            CommandFailed: it ran past its deadline (seconds).
        """
        from . import process

        full = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})}
        return process.capture(argv, timeout=timeout, env=full)

    def feed(self, argv: Sequence[str], chunks: Iterable[bytes]) -> Result:
        """Run a command that reads a stream of bytes on stdin as it comes; for what may not fit in memory.

        It ends when the stream does: whoever makes the chunks sets the deadline, by raising.
        """
        from . import process

        return process.feed(argv, chunks, env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"})

    def which(self, program: str) -> Optional[str]:
        """The program's path on the server's PATH, if it is installed."""
        for folder in PATH.split(":"):
            path = os.path.join(folder, program)
            if os.access(path, os.X_OK) and not os.path.isdir(path):
                return path
        return None

    def has(self, conditions: str) -> bool:
        """Do all of these hold (features.py)? ValueError: one is unknown. Unknown: something is not there yet."""
        return self._features().hold(conditions)

    def assume(self, path: str, names: Sequence[str]) -> None:
        """In a check: a certificate that an apply would fetch is taken as there, for these names."""
        self._features().assume(path, names)

    def _features(self) -> Features:
        from .features import Features

        self._answers = self._answers or Features(self)
        return self._answers

    # -- units -------------------------------------------------------------------------------------------

    def _unit_answers(self) -> Units:
        from .units import Units

        if self._units is None:
            self._units = Units(self.which("systemctl"))
        return self._units

    def prefetch_units(self, names: Sequence[str]) -> None:
        """Ask systemd about units, all in one question; `unit` waits for the answer when it is needed."""
        if names:
            self._unit_answers().prefetch(names)

    def unit(self, name: str) -> Mapping[str, str]:
        """The properties of a unit (`units.PROPERTIES`), as systemctl(1) `show` prints them.

        Raises:
            CommandFailed: no systemd, a name that is none, no answer in time.
        """
        return self._unit_answers().get(name)

    def forget_units(self) -> None:
        """What is known about units may be old: ask again. Whatever here changes something calls this."""
        if self._units is not None:
            self._units.forget()

    # -- time and locks ------------------------------------------------------------------------------------

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds of a clock that only goes forward; for deadlines."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, at a safe point.

        Raises:
            RunCancelled: the user asked to stop.
        """
        end = time.monotonic() + seconds
        while True:
            if self.cancelled():
                raise RunCancelled("stopped by the user")
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.2))

    def lock_holder(self, path: str) -> Optional[tuple[int, str]]:
        """(process id, command) of who holds a lock of fcntl(2) on a file; None when nobody does."""
        from .posix_lock import holder

        return holder(path)

    # -- reading -----------------------------------------------------------------------------------------

    def stat(self, path: str) -> Optional[Stat]:
        """lstat, or None when there is nothing."""
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode = stat_module.S_IMODE(found.st_mode)
        return Stat(kind_of(found.st_mode), mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime)

    def exists(self, path: str) -> bool:
        """True when a path leads somewhere (symlinks followed)."""
        return os.path.exists(path)

    def read(self, path: str) -> Optional[bytes]:
        """A file's content, or None when there is no such file."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            return None

    def readlink(self, path: str) -> Optional[str]:
        """Where a symlink points, or None when it is none."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def listdir(self, path: str) -> list[str]:
        """Sorted names in a directory; empty when there is none."""
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    # -- writing -----------------------------------------------------------------------------------------

    def write_atomic(self, path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Replace a file in one step: synced under another name, rename(2), fsync of the directory.

        A reader sees the old file or the new one, also after a power cut.
        """
        self.forget_units()
        from .atomic import write

        write(path, content, mode=mode, uid=uid, gid=gid)

    def symlink_atomic(self, target: str, path: str) -> None:
        """Make a symlink, or replace one, in one rename(2); then fsync of its directory."""
        self.forget_units()
        from .atomic import link

        link(target, path)

    def fsync_directory(self, path: str) -> None:
        """Make renames in a directory durable (fsync(2): the entry needs its own)."""
        from .atomic import sync_directory

        sync_directory(path)

    def mkdir(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """Make a directory and its parents (0755 root)."""
        parent = os.path.dirname(path)
        if parent and not os.path.isdir(parent):
            self.mkdir(parent)
        os.mkdir(path)
        self.chown(path, uid, gid)
        self.chmod(path, mode)

    def chmod(self, path: str, mode: int) -> None:
        """Set permission bits; never called on symlinks."""
        os.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Set owner and group of the path itself, symlinks not followed."""
        os.lchown(path, uid, gid)

    def rename(self, old: str, new: str) -> None:
        """rename(2)."""
        self.forget_units()
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        """Remove a file or symlink; nothing happens when there is none."""
        self.forget_units()
        if os.path.lexists(path):
            os.unlink(path)

    def remove_tree(self, path: str) -> None:
        """Remove a directory and all below it, symlinks not followed."""
        self.forget_units()
        import shutil

        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
