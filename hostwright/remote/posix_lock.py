"""Who holds a lock of fcntl(2), which flock(1) does not see: apt and dpkg use these. Runs on the server."""

from __future__ import annotations

import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

# struct flock of fcntl(2): l_type, l_whence, l_start, l_len, l_pid
FLOCK = "hhqqi"


def holder(path: str) -> Optional[tuple[int, str]]:
    """(process id, command) of who holds a lock on a file; None when nobody does or there is no file.

    Asked with F_GETLK, which takes nothing. Not /proc/locks: on btrfs and overlayfs its device numbers are
    not those of stat(2). The id is 0 or -1 where the kernel does not tell (another container, a lock of an
    open file description).
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        question = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, question))
    finally:
        os.close(handle)
    return None if kind == fcntl.F_UNLCK else (pid, _command(pid))


def _command(pid: int) -> str:
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "another process"
