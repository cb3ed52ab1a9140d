"""The host's lock: flock(2), held by the worker for its whole life. Nothing to break, nothing that goes stale."""

from __future__ import annotations

import fcntl
import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Optional

    from .paths import Paths

POLL = 0.1


def hold(path: str, exclusive: bool = True) -> Optional[int]:
    """Lock a file for the life of this process; returns its descriptor, or None when another holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def held(path: str, *, shared: bool = False) -> bool:
    """Does any process hold a lock on this file?

    Args:
        shared: only an exclusive one counts. Two that ask at the same time then do not see each other.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def holder(paths: Paths) -> Optional[dict[str, Any]]:
    """Who holds the host: run, action, project, by, began (Unix seconds), what; None when nobody does."""
    return (
        {key: value for key, value in _written(paths).items() if key != "digest"}
        if held(paths.lock, shared=True)
        else None
    )


def asked(paths: Paths) -> str:
    """The digest of what the holder was asked for. Secrets went into it: it is shown to nobody."""
    return str(_written(paths).get("digest", ""))


def _written(paths: Paths) -> dict[str, Any]:
    try:
        with open(paths.holder, "rb") as file:
            value: dict[str, Any] = json.loads(file.read())
            return value
    except (OSError, ValueError):
        return {}  # held this very moment, and not written yet


def take(
    paths: Paths, me: Mapping[str, Any], limit: float, waiting: Callable[[float], None]
) -> Optional[int]:
    """Take the host's lock, waiting at most `limit` seconds; `waiting` is called while another holds it.

    Returns:
        A descriptor that holds the lock until it is closed, or None when the time is over.
    """
    start = time.monotonic()
    while True:
        handle = hold(paths.lock)
        if handle is not None:
            temporary = paths.holder + ".new"
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(me, file)
            os.rename(temporary, paths.holder)
            return handle
        waited = time.monotonic() - start
        if waited >= limit:
            return None
        waiting(waited)
        time.sleep(POLL)
