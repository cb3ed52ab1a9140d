"""The code of a release: the commit's files and their bytecode, by the id of the git tree. Never changed later."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system import System
    from .git import Repository

COMPILE = ("-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash")
COMPILE_TIMEOUT = 600.0


class Store:
    """Folders by key that are complete or not there: built aside, on disk, renamed, marked.

    The mark lies beside the folder, KEY.ok: a folder without it was never finished, or is being removed.
    """

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self.path = path

    def folder(self, key: str) -> str:
        """Where a key's folder is."""
        return "%s/%s" % (self.path, key)

    def has(self, key: str) -> bool:
        """Is it complete?"""
        return self._system.exists(self.folder(key) + ".ok") and self._system.exists(self.folder(key))

    def begin(self, key: str) -> str:
        """An empty folder to build in."""
        self.remove(key)
        building = self.folder(key) + ".tmp"
        self._system.remove_tree(building)
        self._system.mkdir(building)
        return building

    def finish(self, key: str) -> None:
        """What was built is complete: it gets its name once it is on disk."""
        building = self.folder(key) + ".tmp"
        self._system.syncfs(building)
        self._system.rename(building, self.folder(key))
        self._system.fsync_directory(self.path)
        self._system.write_atomic(self.folder(key) + ".ok", b"complete\n", mode=0o644)

    def abandon(self, key: str) -> None:
        """Remove what was being built."""
        self._system.remove_tree(self.folder(key) + ".tmp")

    def remove(self, key: str) -> None:
        """Remove a folder; the mark first."""
        self._system.unlink(self.folder(key) + ".ok")
        if self._system.stat(self.folder(key)):
            self._system.fsync_directory(self.path)
            self._system.remove_tree(self.folder(key))

    def complete(self) -> list[str]:
        """The complete folders."""
        names = self._system.listdir(self.path)
        return [name for name in names if name + ".ok" in names]

    def clean(self) -> list[str]:
        """Remove what is not complete: half built when a run was cut; returns the names."""
        names = self._system.listdir(self.path)
        torn = [name for name in names if not name.endswith(".ok") and name + ".ok" not in names]
        for name in torn:
            self._system.remove_tree("%s/%s" % (self.path, name))
            self._system.unlink("%s/%s" % (self.path, name))  # git's index of an export
        for name in names:
            if name.endswith(".ok") and name[:-3] not in names:
                self._system.unlink("%s/%s" % (self.path, name))
        return torn


def ensure_tree(system: System, repository: Repository, store: Store, tree: str) -> tuple[str, bool]:
    """The folder of a tree's files, made when it is not there.

    Returns:
        Its key and whether it was there. The bytecode belongs to one minor version of Python, so the key does.

    Raises:
        CommandFailed, OSError, RunCancelled
    """
    key = "%s-%s" % (tree, sys.implementation.cache_tag)
    if store.has(key):
        return key, True
    folder = store.begin(key)
    try:
        repository.export(tree, folder)
        # the app cannot write here, so bytecode that is not made now is compiled again by every worker.
        # A file that does not compile (a template, a test of syntax errors) is none of our business
        argv = (sys.executable, "-I", "-S", "-B", *COMPILE, folder)
        system.run(argv, timeout=COMPILE_TIMEOUT, check=False, cancellable=True)
        store.finish(key)
    except BaseException:
        store.abandon(key)
        raise
    return key, False
