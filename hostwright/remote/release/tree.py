"""The code of a release: the commit's files and their bytecode, by the id of the git tree. Never changed later."""

from __future__ import annotations

import json
import re
import sys

from .. import digest
from . import manifest, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Collection, Iterator, Mapping, Optional, Sequence

    from ..system import System
    from .git import Repository

COMPILE = ("-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash")
COMPILE_TIMEOUT = 600.0
# a folder that was built again beside a damaged one
AGAIN = re.compile(r"-r[0-9]+\Z")
# what leads there from a release
LINKS = ("code", "venv", "public")
# how many of the damaged files are named
NAMED = 3


def key_of(name: str) -> str:
    """The key of a folder's content, whichever time it was built."""
    return AGAIN.sub("", name)


def tree_of(name: str) -> str:
    """The id of the git tree that a folder holds the files of."""
    return name.partition("-")[0]


def used(system: System, releases: str) -> set[str]:
    """The folders of trees, environments and assets that releases lead to, whether they are there or not.

    Args:
        releases: the folder of all releases.
    """
    paths = ["%s/%s/%s" % (releases, name, link) for name in system.listdir(releases) for link in LINKS]
    # ../../venvs/KEY, ../../trees/KEY/directory
    return {key for path in paths for key in (system.readlink(path) or "").split("/")[3:4]}


class Kept:
    """A folder of a store that a release may use.

    Attributes:
        name: of the folder.
        reused: it was there.
        damage: what was missing or changed in the folder that was there: nobody uses that one from now on.
    """

    def __init__(self, name: str, reused: bool, damage: Sequence[str] = ()) -> None:
        self.name = name
        self.reused = reused
        self.damage = tuple(damage)

    def detail(self, built: str) -> str:
        """For people: where it comes from; `built` when it was simply not there."""
        if self.reused or not self.damage:
            return "reused" if self.reused else built
        return "rebuilt, %s" % told(self.damage)


def told(damage: Sequence[str]) -> str:
    """Damage in a few words, for people."""
    count, names = len(damage), ", ".join(damage[:NAMED])
    more = ", ..." if count > NAMED else ""
    what = "file was" if count == 1 else "files were"
    return "%d %s missing or changed: %s%s" % (count, what, names, more)


class Store:
    """Folders by key that are complete or not there: built aside, on disk, renamed, marked. Never changed then.

    The mark lies beside the folder, KEY.ok, and lists what the folder is made of: one without it was never
    finished, or is being removed; one that is not as listed is damaged. What is damaged may be what runs, so it
    is left alone, and the good one gets another name: KEY-r1.
    """

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self.path = path

    def folder(self, name: str) -> str:
        """Where a folder is."""
        return "%s/%s" % (self.path, name)

    def find(self, key: str, also: Callable[[str], list[str]] = lambda folder: []) -> tuple[str, list[str]]:
        """A folder of this key to use.

        Args:
            also: finds more damage in a folder.

        Returns:
            Its name, or an empty string; and the damage of the first one that cannot be used.
        """
        damaged: list[str] = []
        for name in self._names(key):
            if not self._system.exists(self.folder(name) + ".ok"):
                continue
            damage = self.damage(name) or also(self.folder(name))
            if not damage:
                return name, []
            damaged = damaged or damage
        return "", damaged

    def free(self, key: str) -> str:
        """The name for a new folder of this key."""
        return next(name for name in self._all(key) if self._system.stat(self.folder(name)) is None)

    def damage(self, name: str) -> list[str]:
        """What is missing in a marked folder, changed, or too much: paths in it.

        One that was marked by an older Hostwright is taken as it is, and listed from now on.
        """
        raw = self._system.read(self.folder(name) + ".ok") or b""
        try:
            found = self._system.walk(self.folder(name))
        except OSError as error:  # what a bad disk or fsck(8) left
            return [str(error.filename or name)]
        if raw == manifest.UNVERIFIED:
            self._mark(name, found)
            return []
        wanted = manifest.load(raw)
        return [manifest.UNREADABLE] if wanted is None else manifest.differing(wanted, found)

    def listed(self, name: str) -> Mapping[str, str]:
        """What a folder was made of, as far as its mark tells: see System.walk."""
        return manifest.load(self._system.read(self.folder(name) + ".ok") or b"") or {}

    def begin(self, name: str) -> str:
        """An empty folder to build in."""
        building = self.folder(name) + ".tmp"
        self._system.remove_tree(building)
        self._system.mkdir(building)
        return building

    def finish(self, name: str) -> None:
        """What was built is complete: it gets its name once it is on disk."""
        building = self.folder(name) + ".tmp"
        self._system.syncfs(building)
        self._system.rename(building, self.folder(name))
        self._system.fsync_directory(self.path)
        self._mark(name, self._system.walk(self.folder(name)))

    def abandon(self, name: str) -> None:
        """Remove what was being built."""
        self._system.remove_tree(self.folder(name) + ".tmp")

    def remove(self, name: str) -> None:
        """Remove a folder; the mark first."""
        self._system.unlink(self.folder(name) + ".ok")
        if self._system.stat(self.folder(name)):
            self._system.fsync_directory(self.path)
            self._system.remove_tree(self.folder(name))

    def complete(self) -> list[str]:
        """The complete folders."""
        names = self._system.listdir(self.path)
        return [name for name in names if name + ".ok" in names]

    def clean(self, used: Collection[str] = ()) -> list[str]:
        """Remove what is not complete: half built when a run was cut; returns the names.

        Args:
            used: folders of releases. One of them that has no mark has lost it.
        """
        names = self._system.listdir(self.path)
        torn = [name for name in names if not name.endswith(".ok") and name + ".ok" not in names]
        torn = [name for name in torn if name not in used]
        for name in torn:
            self._system.remove_tree("%s/%s" % (self.path, name))
            self._system.unlink("%s/%s" % (self.path, name))  # git's index of an export
        for name in names:
            if name.endswith(".ok") and name[:-3] not in names:
                self._system.unlink("%s/%s" % (self.path, name))
        return torn

    def _mark(self, name: str, found: dict[str, str]) -> None:
        self._system.write_atomic(self.folder(name) + ".ok", manifest.dump(found), mode=0o644)

    def _all(self, key: str) -> Iterator[str]:
        yield key
        number = 0
        while True:
            number += 1
            yield "%s-r%d" % (key, number)

    def _names(self, key: str) -> Iterator[str]:
        """The folders of a key that are there; prune may have taken the first."""
        return (name for name in self._system.listdir(self.path) if key_of(name) == key)


def tree_key(tree: str) -> str:
    """The name of a git tree's files with their bytecode, which belongs to one minor version of Python."""
    return "%s-%s" % (tree, sys.implementation.cache_tag)


def ensure_tree(
    system: System, repository: Repository, store: Store, tree: str, links: Optional[Mapping[str, str]] = None
) -> Kept:
    """The folder of a tree's files and their bytecode, made when it is not there, or not whole.

    Args:
        links: symlinks to make in it, see shared.links.

    Raises:
        CommandFailed, OSError, RunCancelled
    """
    wanted = dict(links or {})

    def make(folder: str) -> None:
        repository.export(tree, folder)
        shared.link(system, folder, wanted)
        compile_code(system, folder)

    return _ensure(store, linked_key(tree, wanted), make)


def linked_key(tree: str, links: Mapping[str, str]) -> str:
    """The name of a git tree's files with symlinks in them, and their bytecode."""
    if not links:
        return tree_key(tree)
    return "%s-%s" % (tree_key(tree), digest.sha256(json.dumps(sorted(links)).encode())[:16])


def ensure_source(repository: Repository, store: Store, tree: str) -> Kept:
    """The folder of a tree's files as they are, for a build; no release is made of it.

    Raises:
        CommandFailed, OSError, RunCancelled
    """
    return _ensure(store, tree + "-source", lambda folder: repository.export(tree, folder))


def _ensure(store: Store, key: str, make: Callable[[str], None]) -> Kept:
    found, damage = store.find(key)
    if found:
        return Kept(found, True)
    name = store.free(key)
    try:
        make(store.begin(name))
        store.finish(name)
    except BaseException:
        store.abandon(name)
        raise
    return Kept(name, False, damage)


def compile_code(system: System, folder: str) -> None:
    """Make the bytecode: the app cannot write there, so that every worker would compile again what has none.

    A file that does not compile (a template, a test of syntax errors) is none of our business, nor is one of the
    server's that a symlink leads to: root reads it, and the bytecode would hold its strings.
    """
    argv = (sys.executable, "-I", "-S", "-B", *COMPILE, "-e", folder, folder)
    system.run(argv, timeout=COMPILE_TIMEOUT, check=False, cancellable=True)
