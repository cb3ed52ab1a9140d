"""Locks between processes: flock(2), so that a killed holder leaves nothing to clean."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def try_lock(path: Path, *, wait: bool = False) -> int | None:
    """Takes the lock and returns the descriptor that holds it until closed; None when another holds it.

    The file is made when missing (its folder must exist). A file that was removed while we waited does not
    count: the lock is then taken on its successor.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return None
        try:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            if not path.parent.exists():
                os.close(descriptor)
                raise
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock for the block, waiting for whoever has it."""
    descriptor = try_lock(path, wait=True)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)
