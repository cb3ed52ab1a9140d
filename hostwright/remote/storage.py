"""What a release asks of the disk: is there room, is it written. A part of System."""

from __future__ import annotations

import os
import stat

from .outcome import kind_of


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

    def tell(self, path: str, content: bytes) -> None:
        """Write into a file of the kernel, proc(5); nothing happens when its process is gone."""
        try:
            handle = os.open(path, os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            os.write(handle, content)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def writable(self, path: str) -> bool:
        """May we write there? Also root may not, where the file system is read-only: a container's /proc/sys."""
        return os.access(path, os.W_OK)

    def walk(self, path: str) -> dict[str, str]:
        """Everything below a directory, symlinks not followed: path from there -> what lstat(2) says of it.

        Kind, mode and owner; of a file its size and time of change (seconds: what tar(1) keeps of it), of a
        symlink where it leads.
        """
        found: dict[str, str] = {}
        folders = [""]
        while folders:
            folder = folders.pop()
            with os.scandir(os.path.join(path, folder)) as entries:
                for entry in entries:
                    name, info = folder + entry.name, entry.stat(follow_symlinks=False)
                    kind, rest = kind_of(info.st_mode), ""
                    if kind == "directory":
                        folders.append(name + "/")
                    elif kind == "link":
                        rest = os.readlink(entry.path)
                    else:
                        rest = "%d %d" % (info.st_size, info.st_mtime)
                    mode = stat.S_IMODE(info.st_mode)
                    found[name] = "%s %o %d:%d %s" % (kind, mode, info.st_uid, info.st_gid, rest)
        return found

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
