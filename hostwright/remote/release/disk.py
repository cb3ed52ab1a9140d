"""What an app takes on the disk, and what is left of it."""

from __future__ import annotations

import os

from ..system import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..system import System
    from .layout import Layout

# seconds: on a slow disk with many files nobody wants to wait for a figure
LIMIT = 3.0
# what is in /srv/APP, as people call it, small things first: what is not counted in time is not told
PARTS = (
    ("git", "repo.git"),
    ("releases", "releases"),
    ("trees", "trees"),
    ("assets", "assets"),
    ("environments", "venvs"),
    ("shared", "shared"),
)


def usage(system: System, layout: Layout, limit: float = LIMIT) -> dict[str, Any]:
    """How much an app takes.

    Args:
        limit: seconds to count; afterwards what was counted until then is told.

    Returns:
        path; parts (name -> bytes on disk, a file with several names once); whole (was everything counted?); free
        and size of the file system in bytes.
    """
    paths = {"%s/%s" % (layout.root, name): word for word, name in PARTS}
    there = [path for path in paths if system.exists(path)]
    counted: dict[str, int] = {}

    def line(text: str) -> None:
        size, _, path = text.partition("\t")
        if size.isdigit() and path in paths:
            counted[paths[path]] = int(size) * 1024

    if there:
        # du(1) writes the line of each as soon as it has counted it
        argv = ("du", "--summarize", "--block-size=1024", "--one-file-system", "--", *there)
        try:
            system.run(argv, timeout=limit, check=False, on_line=line, read_only=True)
        except CommandFailed:
            pass
    free, size = room(layout.root)
    return {
        "path": layout.root,
        "parts": counted,
        "whole": len(counted) == len(there),
        "free": free,
        "size": size,
    }


def room(path: str) -> tuple[int, int]:
    """(bytes that are free, bytes in all) of the file system of a path or its nearest parent, statvfs(3)."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
