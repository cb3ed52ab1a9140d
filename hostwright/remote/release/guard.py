"""Is there room? Asked before anything is written, so that a full disk stops a deploy and not the app."""

from __future__ import annotations

from ..run import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system import System
    from .layout import Layout

MIB = 1 << 20
# what must be left when we are done: logs, the journal and the app write too
RESERVE = 64 * MIB
# an environment that has to be built: packages, their bytecode, the builder's cache
ENVIRONMENT, ENVIRONMENT_FILES = 300 * MIB, 10000
CACHE = "/var/cache"
# ext4 counts up to 4096 blocks as free that it gives to nobody
LAST = 17 * MIB
HINT = "Make room: df -h; sudo journalctl --vacuum-size=200M; sudo apt-get clean; fewer `keep_releases`."


def require(system: System, path: str, size: int, files: int) -> None:
    """There must be room for this and the reserve on the file system of `path`.

    Args:
        path: where it will be written.
        size: bytes.
        files: their number: each takes an inode.

    Raises:
        StepError: with both figures.
    """
    free, inodes = system.room(path)
    if free < size + RESERVE:
        raise StepError(
            "not enough disk space for %s: %d MiB free, %d MiB needed"
            % (path, free // MIB, (size + RESERVE) // MIB),
            hint=HINT,
        )
    if inodes < files:
        raise StepError(
            "not enough inodes for %s: %d free, %d needed" % (path, inodes, files),
            hint="df -i tells. " + HINT,
        )


def guard(system: System, layout: Layout, tree_size: int, tree_files: int, state: str) -> str:
    """Check every file system a deploy writes.

    Args:
        tree_size: bytes of the commit's files; their bytecode takes about as much again.
        tree_files: how many they are.
        state: /var/lib/hostwright.

    Returns:
        For people: what is free.

    Raises:
        StepError
    """
    require(system, layout.root, 2 * tree_size, 2 * tree_files + 1000)
    require(system, layout.state, 0, 100)
    require(system, state, 0, 100)
    require(system, CACHE, 0, 100)
    for path in ("/run", "/tmp"):  # noqa: S108 - memory: a little is enough
        free, _ = system.room(path)
        if free < 4 * MIB:
            raise StepError(
                "%s is full: %d KiB free" % (path, free // 1024), hint="du -sh %s/* tells by what." % path
            )
    return "%.1f GiB free" % (system.room(layout.root)[0] / (1 << 30))


def full(system: System, *paths: str) -> str:
    """What to do where an instance that starts, or a command, finds no room at all; an empty string where it does.

    The journal may have had no room for the reason either.

    Args:
        paths: where it writes, besides the temporary folders, in which a sandbox makes its own.
    """
    for path in (*paths, "/tmp", "/var/tmp"):  # noqa: S108 - looked at, not written
        free, inodes = system.room(path)
        if free < LAST or not inodes:
            return "There is no space left for %s: df -h and df -i on the server." % path
    return ""
