"""What a release asks of the disk: is there room, is it written. A part of System."""

from __future__ import annotations

import os


class Storage:
    """Durability and room."""

    def syncfs(self, path: str) -> None:
        """Everything written to the file system of `path` is on disk: syncfs(2), or sync(2) where libc has none."""
        import ctypes

        handle = os.open(path, os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if not hasattr(libc, "syncfs"):
                os.sync()
            elif libc.syncfs(handle) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), path)
        finally:
            os.close(handle)

    def room(self, path: str) -> tuple[int, int]:
        """(bytes, files) that root may still write on the file system of `path`, or of its nearest parent.

        Where a file system has no limit of files (btrfs), that number is very large.
        """
        while not os.path.exists(path):
            path = os.path.dirname(path)
        found = os.statvfs(path)
        return found.f_bfree * found.f_frsize, found.f_ffree if found.f_files else 1 << 40

    def append(self, path: str, line: bytes, *, mode: int) -> None:
        """Add a line to a file, made when it is not there, and wait until it is on disk.

        A line that a power cut left without its end gets one.
        """
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, mode)
        try:
            size = os.fstat(handle).st_size
            torn = size and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, b"\n" + line if torn else line)
            os.fsync(handle)
        finally:
            os.close(handle)
