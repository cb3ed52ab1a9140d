"""Files and links that are replaced in one step: a reader, or a power cut, meets the old or the new one."""

from __future__ import annotations

import os


def write(path: str, content: bytes, *, mode: int, uid: int, gid: int) -> None:
    """Whole and synced under another name, then rename(2) and fsync of the directory."""
    folder = os.path.dirname(path)
    temporary = _temporary(path)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(handle, view) :]
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    sync_directory(folder)


def link(target: str, path: str) -> None:
    """Make a symlink, or replace one; then fsync of its directory."""
    temporary = _temporary(path)
    os.symlink(target, temporary)
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Make renames in a directory durable (fsync(2): the entry needs its own)."""
    handle = os.open(path or "/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary(path: str) -> str:
    """A name beside `path`, free again when a power cut left something there."""
    temporary = os.path.join(os.path.dirname(path), ".%s.hostwright" % os.path.basename(path))
    _remove(temporary)
    return temporary


def _remove(path: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)
